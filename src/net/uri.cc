#include "net/uri.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

namespace chorok::net {

namespace {

bool is_unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_visible(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f; });
}

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

std::uint16_t default_port(std::string_view scheme) {
  return scheme == "https" || scheme == "wss" ? 443 : 80;
}

}  // namespace

std::string percent_encode(std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (char c : text) {
    if (is_unreserved(c)) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  return out;
}

Result<std::string> percent_decode(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      const int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
      if (high < 0 || low < 0) return fail(Code::kInvalid, "a '%' needs two hex digits after it");
      c = static_cast<char>(high << 4 | low);
      i += 2;
    } else if (c == '+' && plus_is_space) {
      c = ' ';
    }
    if (c == '\0') return fail(Code::kInvalid, "a NUL is not allowed here");
    out += c;
  }
  return out;
}

Result<QueryItems> parse_query(std::string_view text) {
  QueryItems items;
  while (!text.empty()) {
    const std::string_view item = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(text.size(), item.size() + 1));
    if (item.empty()) continue;
    const std::size_t equals = item.find('=');
    auto name = TRY(percent_decode(item.substr(0, equals), true));
    auto value = equals == std::string_view::npos
                     ? std::string()
                     : TRY(percent_decode(item.substr(equals + 1), true));
    items.emplace_back(std::move(name), std::move(value));
  }
  return items;
}

std::string format_query(const QueryItems& items) {
  std::string out;
  for (const auto& [name, value] : items) {
    if (!out.empty()) out += '&';
    out += percent_encode(name) + '=' + percent_encode(value);
  }
  return out;
}

std::string Url::authority() const {
  const std::string name = host.find(':') == std::string::npos ? host : '[' + host + ']';
  return port == default_port(scheme) ? name : fmt::format("{}:{}", name, port);
}

std::string Url::to_string() const {
  return scheme + "://" + authority() + target;
}

Result<Url> parse_url(std::string_view text) {
  auto bad = [&](std::string_view why) {
    return fail(Code::kInvalid, fmt::format("'{}' is not a URL: {}", text, why));
  };
  if (!is_visible(text)) return bad("it has a space or a control character");
  const std::size_t colon = text.find("://");
  if (colon == std::string_view::npos) return bad("it needs https:// before the host");
  Url url;
  url.scheme = text.substr(0, colon);
  if (url.scheme != "http" && url.scheme != "https" && url.scheme != "ws" && url.scheme != "wss") {
    return bad("only http, https, ws and wss are known");
  }
  std::string_view rest = text.substr(colon + 3);
  rest = rest.substr(0, rest.find('#'));
  const std::size_t slash = rest.find_first_of("/?");
  std::string_view authority = rest.substr(0, slash);
  if (slash != std::string_view::npos) url.target = rest.substr(slash);
  if (url.target.front() == '?') url.target.insert(0, "/");
  if (authority.find('@') != std::string_view::npos) return bad("a user in it is not supported");

  std::string_view port;
  if (authority.starts_with('[')) {
    const std::size_t end = authority.find(']');
    if (end == std::string_view::npos) return bad("the ']' is missing");
    url.host = authority.substr(1, end - 1);
    port = authority.substr(end + 1);
  } else {
    url.host = authority.substr(0, authority.find(':'));
    port = authority.substr(url.host.size());
  }
  if (url.host.empty()) return bad("the host is missing");
  url.port = default_port(url.scheme);
  if (!port.empty()) {
    const char* end = port.data() + port.size();
    auto [at, error] = std::from_chars(port.data() + 1, end, url.port);
    if (port[0] != ':' || error != std::errc() || at != end || url.port == 0) {
      return bad("the port must be 1 to 65535");
    }
  }
  return url;
}

Result<Target> parse_target(std::string_view text) {
  if (text.empty() || text[0] != '/') return fail(Code::kInvalid, "the path must begin with '/'");
  if (!is_visible(text)) return fail(Code::kInvalid, "the path has bytes that must be encoded");
  text = text.substr(0, text.find('#'));
  Target target;
  const std::string_view path = text.substr(0, text.find('?'));
  if (path.size() < text.size()) target.query = TRY(parse_query(text.substr(path.size() + 1)));

  std::string_view rest = path.substr(1);
  while (!rest.empty()) {
    const std::string_view encoded = rest.substr(0, rest.find('/'));
    const bool is_last = encoded.size() == rest.size();
    rest.remove_prefix(std::min(rest.size(), encoded.size() + 1));
    if (encoded.empty()) return fail(Code::kInvalid, "the path has an empty segment");
    auto segment = TRY(percent_decode(encoded));
    if (segment == "." || segment == "..") {
      return fail(Code::kInvalid, "the path has a '.' or '..' segment");
    }
    if (std::ranges::any_of(segment, is_control)) {
      return fail(Code::kInvalid, "the path has a control character");  // it would forge log lines
    }
    if (segment.find('/') != std::string::npos) {
      return fail(Code::kInvalid, "an encoded '/' is not allowed in the path");
    }
    target.path += '/' + segment;
    target.segments.push_back(std::move(segment));
    if (!is_last && rest.empty()) target.path += '/';
  }
  if (target.path.empty()) target.path = "/";
  return target;
}

}  // namespace chorok::net
