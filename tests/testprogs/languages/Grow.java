// SPDX-License-Identifier: Apache-2.0
// As grow.cpp.
import java.util.ArrayList;
import java.util.List;

public class Grow {
    static List<byte[]> loadBatch(int mib) {
        List<byte[]> out = new ArrayList<>();
        for (int i = 0; i < mib; i++) {
            byte[] piece = new byte[1 << 20];
            for (int at = 0; at < piece.length; at += 4096) {
                piece[at] = 1;
            }
            out.add(piece);
        }
        return out;
    }

    public static void main(String[] arguments) throws InterruptedException {
        List<byte[]> kept = loadBatch(Integer.parseInt(arguments[0]));
        Thread.sleep(300);
        if (kept.isEmpty()) {
            System.exit(1);
        }
    }
}
