#include "base/json_parse.h"

#include <boost/json.hpp>
#include <boost/json/basic_parser_impl.hpp>
#include <charconv>

namespace chorok::json {
namespace {

namespace bj = boost::json;
using boost::system::error_code;
using View = bj::string_view;

// What Boost.JSON's own parser does with what it reads, but for doubles.
struct Builder {
  static constexpr std::size_t max_object_size = bj::object::max_size();
  static constexpr std::size_t max_array_size = bj::array::max_size();
  static constexpr std::size_t max_key_size = bj::string::max_size();
  static constexpr std::size_t max_string_size = bj::string::max_size();

  bj::value_stack stack;

  bool on_document_begin(error_code&) { return true; }
  bool on_document_end(error_code&) { return true; }
  bool on_object_begin(error_code&) { return true; }
  bool on_object_end(std::size_t n, error_code&) {
    stack.push_object(n);
    return true;
  }
  bool on_array_begin(error_code&) { return true; }
  bool on_array_end(std::size_t n, error_code&) {
    stack.push_array(n);
    return true;
  }
  bool on_key_part(View text, std::size_t, error_code&) {
    stack.push_chars(text);
    return true;
  }
  bool on_key(View text, std::size_t, error_code&) {
    stack.push_key(text);
    return true;
  }
  bool on_string_part(View text, std::size_t, error_code&) {
    stack.push_chars(text);
    return true;
  }
  bool on_string(View text, std::size_t, error_code&) {
    stack.push_string(text);
    return true;
  }
  bool on_number_part(View, error_code&) { return true; }
  bool on_int64(std::int64_t number, View, error_code&) {
    stack.push_int64(number);
    return true;
  }
  bool on_uint64(std::uint64_t number, View, error_code&) {
    stack.push_uint64(number);
    return true;
  }
  // The whole number is in `text`, for the whole document is in one buffer. Beyond a double's range
  // Boost's answer, an infinity or nothing, is as good as any.
  bool on_double(double number, View text, error_code&) {
    double exact = 0;
    const char* end = text.data() + text.size();
    auto [stop, wrong] = std::from_chars(text.data(), end, exact);
    stack.push_double(wrong == std::errc{} && stop == end ? exact : number);
    return true;
  }
  bool on_bool(bool value, error_code&) {
    stack.push_bool(value);
    return true;
  }
  bool on_null(error_code&) {
    stack.push_null();
    return true;
  }
  bool on_comment_part(View, error_code&) { return true; }
  bool on_comment(View, error_code&) { return true; }
};

}  // namespace

bj::value parse_exactly(std::string_view text, std::size_t max_depth,
                        const bj::storage_ptr& storage, std::size_t& used, error_code& error) {
  bj::parse_options options;
  options.max_depth = max_depth;
  bj::basic_parser<Builder> parser(options);
  parser.handler().stack.reset(storage);
  used = parser.write_some(false, text.data(), text.size(), error);
  if (error) return nullptr;
  return parser.handler().stack.release();
}

}  // namespace chorok::json
