// SPDX-License-Identifier: Apache-2.0
// As grow.cpp.
package main

import (
	"os"
	"strconv"
	"time"
)

//go:noinline
func loadBatch(mib int) [][]byte {
	var out [][]byte
	for i := 0; i < mib; i++ {
		piece := make([]byte, 1<<20)
		for at := 0; at < len(piece); at += 4096 {
			piece[at] = 1
		}
		out = append(out, piece)
	}
	return out
}

func main() {
	mib, _ := strconv.Atoi(os.Args[1])
	kept := loadBatch(mib)
	time.Sleep(300 * time.Millisecond)
	if len(kept) == 0 {
		os.Exit(1)
	}
}
