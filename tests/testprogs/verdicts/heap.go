// SPDX-License-Identifier: Apache-2.0
// Makes garbage, 1 MiB at a time, as servers do with each request; keeps nothing. The argument: milliseconds between.
package main

import (
	"os"
	"strconv"
	"time"
)

//go:noinline
func request() int {
	piece := make([]byte, 1<<20)
	for at := 0; at < len(piece); at += 4096 {
		piece[at] = 1
	}
	return len(piece)
}

func main() {
	pause, _ := strconv.Atoi(os.Args[1])
	done := 0
	for {
		done += request()
		time.Sleep(time.Duration(pause) * time.Millisecond)
	}
}
