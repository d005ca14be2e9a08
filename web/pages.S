// SPDX-License-Identifier: Apache-2.0
// The bundled pages, byte for byte, for userspace/report/page.h and userspace/serve/live_page.h.
  .section .rodata
  .balign 16
  .global memcrest_report_page
  .global memcrest_report_page_end
memcrest_report_page:
  .incbin REPORT_PAGE
memcrest_report_page_end:
  .byte 0
  .balign 16
  .global memcrest_live_page
  .global memcrest_live_page_end
memcrest_live_page:
  .incbin LIVE_PAGE
memcrest_live_page_end:
  .byte 0
  .balign 16
  .global memcrest_live_script
  .global memcrest_live_script_end
memcrest_live_script:
  .incbin LIVE_SCRIPT
memcrest_live_script_end:
  .byte 0
  .balign 16
  .global memcrest_live_style
  .global memcrest_live_style_end
memcrest_live_style:
  .incbin LIVE_STYLE
memcrest_live_style_end:
  .byte 0
  .section .note.GNU-stack, "", %progbits
