// SPDX-License-Identifier: Apache-2.0
// As grow.cpp.
use std::{env, thread, time::Duration};

#[inline(never)]
fn load_batch(mib: usize) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    for _ in 0..mib {
        let mut piece: Vec<u8> = Vec::with_capacity(1 << 20);
        let memory = piece.as_mut_ptr();
        for at in (0..1 << 20).step_by(4096) {
            unsafe { memory.add(at).write_volatile(1) };
        }
        out.push(piece);
    }
    out
}

fn main() {
    let mib: usize = env::args().nth(1).unwrap().parse().unwrap();
    let kept = load_batch(mib);
    thread::sleep(Duration::from_millis(300));
    std::process::exit(if kept.is_empty() { 1 } else { 0 });
}
