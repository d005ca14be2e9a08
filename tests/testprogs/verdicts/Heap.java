// SPDX-License-Identifier: Apache-2.0
// Fills its heap with live objects, some MiB each second, as a cache without a bound does.
import java.util.ArrayList;
import java.util.List;

public class Heap {
    public static void main(String[] arguments) throws InterruptedException {
        List<byte[]> kept = new ArrayList<>();
        for (int i = 0; i < Integer.parseInt(arguments[0]); i++) {
            kept.add(new byte[1 << 20]);
            Thread.sleep(Integer.parseInt(arguments[1]));
        }
        Thread.sleep(60000);
        System.out.println(kept.size());
    }
}
