// SPDX-License-Identifier: Apache-2.0
// The bundled pages, byte for byte, for userspace/report/page.h.
  .section .rodata
  .balign 16
  .global memcrest_report_page
  .global memcrest_report_page_end
memcrest_report_page:
  .incbin REPORT_PAGE
memcrest_report_page_end:
  .byte 0
  .section .note.GNU-stack, "", %progbits
