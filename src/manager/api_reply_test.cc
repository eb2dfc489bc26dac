// Reply::at for all of the API's tests: the only place of theirs that reads JSON as a tree.
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "manager/api_test_support.h"

namespace chorok::manager {

std::string Reply::at(std::string_view pointer) const {
  boost::system::error_code missing;
  const boost::json::value whole = boost::json::parse(body);
  const boost::json::value* value = whole.find_pointer(pointer, missing);
  if (value == nullptr) return "?";
  return value->is_string() ? std::string(value->as_string()) : boost::json::serialize(*value);
}

TEST(Reply, FindsValuesByPointer) {
  Reply reply{200, {}, R"({"a":{"b":"text","n":[1,2]}})"};
  EXPECT_EQ(reply.at("/a/b"), "text");
  EXPECT_EQ(reply.at("/a/n/1"), "2");
  EXPECT_EQ(reply.at("/a/x"), "?");
}

}  // namespace chorok::manager
