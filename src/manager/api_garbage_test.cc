// Whatever comes in, the answer is a problem and never a 500.
#include <random>

#include "manager/api_core.h"
#include "manager/api_test_support.h"

namespace chorok::manager {
namespace {

class GarbageTest : public ApiTest {
 protected:
  std::mt19937 random{7};
  std::size_t below(std::size_t n) { return random() % n; }
  template <class C>
  auto pick(const C& from) {
    return *(std::begin(from) + static_cast<long>(below(std::size(from))));
  }

  std::string noise(std::size_t most) {
    std::string out;
    for (std::size_t i = below(most + 1); i > 0; --i) out += static_cast<char>(random());
    return out;
  }
  std::string value(int depth) {
    static constexpr std::string_view kWords[] = {"null",
                                                  "true",
                                                  "-1",
                                                  "1e999",
                                                  "0.5",
                                                  "\"\"",
                                                  "\"x\"",
                                                  "99999999999999999999",
                                                  "[]",
                                                  "{}",
                                                  "\"\\u0000\"",
                                                  "\"../../etc/passwd\"",
                                                  "\"2026-13-01T00:00:00Z\"",
                                                  "\"\xff\xfe\""};
    if (depth <= 0 || below(3) > 0) return std::string(pick(kWords));
    if (below(2) == 0) return "[" + value(depth - 1) + "," + value(depth - 1) + "]";
    return body(nullptr, depth - 1);
  }
  // An object with some fields of the type and some of nobody.
  std::string body(const Type* type, int depth) {
    std::string out = "{";
    for (std::size_t i = below(5); i > 0; --i) {
      if (out.size() > 1) out += ',';
      if (type != nullptr && !type->fields.empty() && below(5) > 0) {
        const Field& field = type->fields[below(type->fields.size())];
        const Type& inner = field.type();
        out += json::quoted(field.name) + ":";
        out +=
            inner.kind == Kind::kStruct && below(2) == 0 ? body(&inner, depth - 1) : value(depth);
      } else {
        out += json::quoted(noise(8)) + ":" + value(depth);
      }
    }
    return out + "}";
  }
  std::string segment(const std::string& part) {
    static constexpr std::string_view kRefs[] = {"web1",  "lan",  "admin",  "%00", "%2e%2e",
                                                 "x%2fy", "%ff",  "a b",    "..",  "",
                                                 "'",     "vm-1", "default"};
    if (!part.starts_with('{')) return part;
    return std::string(pick(kRefs));
  }
};

TEST_F(GarbageTest, NeverA500) {
  make_network("lan");
  Changes changes;
  changes.put(vm_record("vm-1", "web1"));
  commit(std::move(changes));
  const auto routes = make_routes();
  std::map<int, int> seen;
  for (int i = 0; i < 4000; ++i) {
    const Route& route = routes[below(routes.size())];
    if (route.answer_form == AnswerForm::kEvents || route.id == "deleteUser" ||
        route.id == "patchUser" || route.id == "login" || route.id == "deleteToken")
      continue;  // streams do not end; the others would take the test's own token away
    std::string path;
    for (const std::string& part : route.pattern) path += "/" + segment(part);
    if (below(3) == 0 && !route.query.empty())
      path += "?" + std::string(pick(route.query).name) + "=" + net::percent_encode(noise(12));
    if (path.find(' ') != std::string::npos) continue;  // the client would not send it
    net::Headers headers = {{"Authorization", "Bearer " + admin}};
    if (below(10) == 0) headers.add("If-Match", "\"" + std::to_string(below(4)) + "\"");
    if (below(10) == 0) headers.add("Idempotency-Key", std::to_string(below(3)));
    std::string text = below(4) == 0 ? noise(40) : body(route.body, 3);
    if (route.method == "GET") text.clear();
    Reply reply = call(route.method, path, text, headers);
    ++seen[reply.status];
    EXPECT_NE(reply.status, 500) << route.method << " " << path << "\n"
                                 << text << "\n"
                                 << reply.body;
    EXPECT_NE(reply.status, 0) << route.method << " " << path;
    if (reply.status >= 400) {
      EXPECT_EQ(reply.headers.get("Content-Type"), "application/problem+json") << path;
      EXPECT_EQ(reply.at("/status"), std::to_string(reply.status));
    }
  }
  EXPECT_GT(seen[200], 50);
  EXPECT_GT(seen[400], 50);
  EXPECT_GT(seen[404], 50);
  EXPECT_EQ(get("/version").status, 200) << "still there";
}

}  // namespace
}  // namespace chorok::manager
