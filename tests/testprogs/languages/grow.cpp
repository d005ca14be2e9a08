// SPDX-License-Identifier: Apache-2.0
// Takes MIB of memory in load_batch -> json::parse -> json::fill, a tenth of it in warm_up, and holds it for a moment.
#include <unistd.h>

#include <cstdlib>
#include <vector>

namespace json
{

// Becomes part of fill(): only debug information tells that it was there.
__attribute__((always_inline)) inline void touch(char *page)
{
	*page = 1;
}

// Apart from its loop it calls something, so that compilers give it a frame where frames are wanted.
__attribute__((noinline)) void fill(char *memory, std::size_t size)
{
	for (std::size_t at = 0; at < size; at += 4096) {
		touch(memory + at);
	}
	asm volatile("" ::"r"(memory) : "memory");
	if (size == 1) {
		std::abort();
	}
}

__attribute__((noinline)) std::vector<char *> parse(std::size_t mib)
{
	std::vector<char *> out;
	// Pieces larger than a step: where hooks see pages in batches, the last ones are seen at the next malloc.
	for (std::size_t i = 0; i < mib / 4; ++i) {
		out.push_back(static_cast<char *>(std::malloc(4U << 20U)));
		fill(out.back(), 4U << 20U);
	}
	return out;
}

}  // namespace json

__attribute__((noinline)) std::size_t load_batch(std::size_t mib)
{
	const auto values = json::parse(mib);
	usleep(300'000);
	return values.size();
}

__attribute__((noinline)) char *warm_up(std::size_t mib)
{
	auto *memory = static_cast<char *>(std::malloc(mib << 20U));
	for (std::size_t at = 0; at < mib << 20U; at += 4096) {
		memory[at] = 1;
	}
	asm volatile("" ::"r"(memory) : "memory");
	return memory;
}

int main(int /*count*/, char **arguments)
{
	const std::size_t mib = std::strtoul(arguments[1], nullptr, 10);
	const char *const warm = warm_up(mib / 10);
	return load_batch(mib - mib / 10) == 0 || warm == nullptr ? 1 : 0;
}
