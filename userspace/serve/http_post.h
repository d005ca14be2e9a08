// SPDX-License-Identifier: Apache-2.0
// One POST to a receiver of the agent's, which is not trusted to be alive, honest or fast: one deadline for all of it,
// and of an answer no more than a few words are kept. HTTP/1.0, a connection each, for the reasons of adr/0006.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "identity/kubernetes_settings.h"
#include "identity/tls_connection.h"
#include "util/result.h"

namespace memcrest {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct PostAnswer {
  int status = 0;
  std::string body;                                 // cut
  std::optional<std::chrono::seconds> retry_after;  // as a number; a date is left aside
};

// PEM files. Read again for each request, since they change.
struct TlsFiles {
  std::string ca;    // whom we trust; empty: whom the system trusts
  std::string cert;  // what we show to a server that asks who we are; with its key, or neither
  std::string key;
};

class HttpPost {
 public:
  // EINVAL: `url` is none of http:// or https://, or holds a user, a header would end its line, or a certificate is
  // given without its key, or to plain http.
  [[nodiscard]] static Result<HttpPost> make(const std::string& url, const TlsFiles& files, HttpHeaders headers);

  // To the Kubernetes API, whose settings have been checked.
  [[nodiscard]] static HttpPost to(KubernetesEndpoint endpoint);

  // `target` follows the URL's path. Errors as TlsConnection's and HttpHeadReader's.
  [[nodiscard]] Result<PostAnswer> send(std::string_view target, const HttpHeaders& headers, std::string_view body,
                                        std::chrono::milliseconds timeout, const StopEvent& stop) const;

 private:
  HttpPost() = default;
  KubernetesEndpoint endpoint_;  // its host, port and TLS
  std::string path_;
  std::string fixed_;  // headers of every request, with their line ends
};

// "Name: value" lines of a file that only its owner should read; lines that are empty or begin with # are left aside.
[[nodiscard]] Result<HttpHeaders> parse_headers(std::string_view text);

[[nodiscard]] std::string gzip(std::string_view bytes);

}  // namespace memcrest
