// SPDX-License-Identifier: Apache-2.0
// Where the Kubernetes API is and how to ask it: told by the user, or found in a pod's surroundings.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "util/result.h"

namespace memcrest {

// As a user gives them; all text.
struct KubernetesSettings {
  std::string server;           // "https://10.96.0.1:443", or "http://127.0.0.1:8001" (kubectl proxy)
  std::string tls_server_name;  // the name in the server's certificate; empty: the one in `server`
  std::string ca_file;          // PEM; needed with https
  std::string token_file;       // read again for each request, since it changes; empty: no token
  std::string node;             // this node's name: only its pods are asked for
};

// Those settings checked and taken apart.
struct KubernetesEndpoint {
  bool tls = true;
  std::string host;  // a name or an address, without brackets
  std::uint16_t port = 0;
  std::string base_path;    // in front of "/api/v1/...": empty, or "/k8s/clusters/c-1"
  std::string server_name;  // that the certificate must carry
  std::string ca_file;
  std::string token_file;
  std::string node;
  // PEM: a certificate with its chain and its key, both or none: shown to a server that asks who we are.
  std::string client_cert_file;
  std::string client_key_file;
  // For a person and the Host field: "10.96.0.1:443", "[::1]:8001".
  [[nodiscard]] std::string authority() const;
};

// EINVAL with what is wrong: plain http to another host than this one, https without a CA, a node name that is none,
// user and password in the URL.
[[nodiscard]] Result<KubernetesEndpoint> check_kubernetes_settings(const KubernetesSettings& settings);

// A variable of the environment; null: not set.
using Environment = std::function<const char*(const char* name)>;

inline constexpr std::string_view kServiceAccountFolder = "/var/run/secrets/kubernetes.io/serviceaccount";

// What every pod is given: KUBERNETES_SERVICE_HOST and _PORT, the service account's token and the CA; and NODE_NAME,
// which the pod's manifest must set (fieldRef spec.nodeName). Nothing: this is no pod, or one without a token.
[[nodiscard]] std::optional<KubernetesSettings> in_cluster_settings(
    const Environment& environment, const std::string& folder = std::string(kServiceAccountFolder));

}  // namespace memcrest
