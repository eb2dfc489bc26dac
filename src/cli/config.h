// ~/.config/chorok/config.json: where the manager is, who one is, and the CA it is known by. Mode
// 0600, because it holds tokens. Several contexts, one of them current.
#pragma once

#include <map>
#include <string>

#include "base/reflect.h"
#include "base/result.h"

namespace chorok::cli {

struct ContextConfig {
  std::string url;
  std::string user;
  std::string token;
  Time expires{};
  std::string ca;  // PEM; empty: the system's CAs
  static const Type& type();
};

struct Config {
  std::string current;
  std::map<std::string, ContextConfig> contexts;
  static const Type& type();

  const ContextConfig* find(const std::string& name) const;
  // The context that speaks to this URL, or null.
  const ContextConfig* find_url(const std::string& url) const;
};

// An empty Config when there is no file. kInvalid when it cannot be read.
Result<Config> load_config(const std::string& path);
// Replaces the file whole, so that no reader sees half of it.
Result<> save_config(const std::string& path, const Config& config);

// Whole files, for specs, passwords and certificates.
Result<std::string> read_file(const std::string& path, std::size_t bytes_max = 1 << 20);

}  // namespace chorok::cli
