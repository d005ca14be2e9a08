// SPDX-License-Identifier: Apache-2.0
// What fuzzing of ELF files begins with: a few functions, some of them with mangled names.
int memcrest_seed_one(int x);
int _ZN4json5parseEPKcm(const char *text, unsigned long size);
int _ZN3app10load_batch17h0123456789abcdefE(int x);

__asm__(".pushsection .gnu_debuglink,\"\",@progbits\n.string \"elf_seed.debug\"\n.balign 4\n.long 1\n.popsection\n"
	".pushsection .gnu_debugdata,\"\",@progbits\n.byte 0xfd,0x37,0x7a,0x58,0x5a,0,0,4,0xe6,0xd6\n.zero 64\n.popsection\n");

int memcrest_seed_one(int x)
{
	return x + 1;
}

int _ZN4json5parseEPKcm(const char *text, unsigned long size)
{
	return memcrest_seed_one(text[size]);
}

int _ZN3app10load_batch17h0123456789abcdefE(int x)
{
	return _ZN4json5parseEPKcm("text", (unsigned long)x);
}
