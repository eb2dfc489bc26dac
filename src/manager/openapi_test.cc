#include "manager/openapi.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <set>

#include "manager/api_routes.h"

namespace chorok::manager {
namespace {

namespace bj = boost::json;

void collect_refs(const bj::value& value, std::set<std::string>& refs) {
  if (const auto* object = value.if_object()) {
    for (const auto& item : *object) {
      if (item.key() == "$ref") refs.insert(std::string(item.value().as_string()));
      collect_refs(item.value(), refs);
    }
  } else if (const auto* array = value.if_array()) {
    for (const auto& item : *array) collect_refs(item, refs);
  }
}

class OpenapiTest : public testing::Test {
 protected:
  std::vector<Route> routes = make_routes();
  bj::value document = bj::parse(make_openapi(routes, "1.2.3"));
};

TEST_F(OpenapiTest, IsWhole) {
  EXPECT_EQ(document.at("openapi").as_string(), "3.1.0");
  EXPECT_EQ(document.at("info").at("version").as_string(), "1.2.3");
  std::set<std::string> refs;
  collect_refs(document, refs);
  EXPECT_TRUE(refs.contains("#/components/schemas/VmSpec"));
  for (const std::string& ref : refs) {
    ASSERT_TRUE(ref.starts_with("#/")) << ref;
    boost::system::error_code missing;
    EXPECT_NE(document.find_pointer(std::string_view(ref).substr(1), missing), nullptr) << ref;
  }
}

TEST_F(OpenapiTest, HasEveryRouteOnce) {
  std::set<std::string> ids;
  std::size_t operations = 0;
  for (const auto& path : document.at("paths").as_object()) {
    EXPECT_TRUE(path.key().starts_with("/")) << path.key();
    for (const auto& operation : path.value().as_object()) {
      ++operations;
      const auto& object = operation.value().as_object();
      EXPECT_TRUE(ids.insert(std::string(object.at("operationId").as_string())).second)
          << object.at("operationId");
      EXPECT_GE(object.at("responses").as_object().size(), 2U);
    }
  }
  EXPECT_EQ(operations, routes.size());
  for (const Route& route : routes) EXPECT_TRUE(ids.contains(route.id)) << route.id;
}

TEST_F(OpenapiTest, DescribesTheParametersOfAPath) {
  for (const auto& path : document.at("paths").as_object())
    for (const auto& operation : path.value().as_object()) {
      std::set<std::string> named;
      for (const auto& parameter : operation.value().at("parameters").as_array())
        if (parameter.at("in").as_string() == "path")
          named.insert(std::string(parameter.at("name").as_string()));
      std::string_view rest = path.key();
      std::size_t count = 0;
      while ((rest = rest.substr(std::min(rest.find('{'), rest.size()))).size() > 1) {
        rest.remove_prefix(1);
        EXPECT_TRUE(named.contains(std::string(rest.substr(0, rest.find('}'))))) << path.key();
        ++count;
      }
      EXPECT_EQ(named.size(), count) << path.key();
    }
}

TEST(Routes, LeadWhereTheySay) {
  const auto routes = make_routes();
  auto id = [&](std::string_view method, std::vector<std::string> segments) -> std::string {
    Match match = match_route(routes, method, segments);
    return match.route == nullptr ? "" : match.route->id;
  };
  EXPECT_EQ(id("GET", {"api", "v1", "vms"}), "listVms");
  EXPECT_EQ(id("POST", {"api", "v1", "vms", "x", "attach-disk"}), "VmAttachDisk");
  EXPECT_EQ(id("POST", {"api", "v1", "tokens"}), "createToken");
  EXPECT_EQ(id("PUT", {"api", "v1", "datastores", "x", "files", "a", "b.iso"}), "putFile");
  EXPECT_EQ(id("PUT", {"api", "v1", "datastores", "x", "files"}), "");
  EXPECT_EQ(id("PUT", {"api", "v1", "vms"}), "");
  Match file = match_route(routes, "PUT", {"api", "v1", "datastores", "x", "files", "a", "b.iso"});
  EXPECT_EQ(file.args, (std::vector<std::string>{"x", "a/b.iso"}));
  EXPECT_EQ(nearest_path(routes, {"api", "v1", "vms", "web1", "migrat"}),
            "/api/v1/vms/web1/migrate");
}

}  // namespace
}  // namespace chorok::manager
