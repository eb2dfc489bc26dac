// Files in datastores, and the backup of the manager's state.
#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <memory>

#include "cli/flags.h"
#include "cli/format.h"
#include "cli/handlers.h"
#include "cli/objects.h"
#include "cli/quantity.h"
#include "net/http_client.h"

namespace chorok::cli {
namespace {

// What GET /datastores/REF/files lists.
struct StoredFile {
  std::string path;
  Bytes size{};
  std::string format;
  Time modified{};
  static const Type& type() {
    static const Type kType = describe<StoredFile>("StoredFile", "A file in a datastore.")
                                  .field("path", &StoredFile::path, "", {.max_length = 1024})
                                  .field("size", &StoredFile::size, "")
                                  .field("format", &StoredFile::format, "")
                                  .field("modified", &StoredFile::modified, "");
    return kType;
  }
};

std::string encode_path(std::string_view path) {
  std::string out;
  while (!path.empty()) {
    std::size_t end = path.find('/');
    out += (out.empty() ? "" : "/") + net::percent_encode(path.substr(0, end));
    path = end == std::string_view::npos ? std::string_view{} : path.substr(end + 1);
  }
  return out;
}

std::string file_path(std::string_view datastore, std::string_view path) {
  return ref_path("datastores", datastore, "files/" + encode_path(path));
}

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new()) {
    EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr);
  }
  void add(std::string_view bytes) { EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()); }
  std::string hex() {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    EVP_DigestFinal_ex(context_.get(), digest, &size);
    return fmt::format("{:02x}", fmt::join(digest, digest + size, ""));
  }

 private:
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<EVP_MD_CTX, Free> context_;
};

// Says how far an upload is, a few times a second at most.
class UploadProgress {
 public:
  UploadProgress(Session& session, std::string name, double total)
      : session_(session), name_(std::move(name)), total_(total) {
    shows_ = session.terminal().err_is_terminal() && !session.options().quiet;
  }
  ~UploadProgress() {
    if (shown_) session_.terminal().err("\r\x1b[K");
  }
  UploadProgress(const UploadProgress&) = delete;
  UploadProgress& operator=(const UploadProgress&) = delete;

  void sent(std::uint64_t bytes) {
    auto now = std::chrono::steady_clock::now();
    if (!shows_ || now - last_ < std::chrono::milliseconds(100)) return;
    last_ = now;
    shown_ = true;
    double passed = std::chrono::duration<double>(now - start_).count();
    auto done = static_cast<double>(bytes);
    session_.terminal().err(fmt::format(
        "\r\x1b[K{} {:3.0f}%  {} of {}, {}/s", name_, total_ > 0 ? 100 * done / total_ : 100,
        human_bytes(done), human_bytes(total_), human_bytes(passed > 0 ? done / passed : 0)));
  }
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  Session& session_;
  std::string name_;
  double total_;
  bool shows_ = false;
  bool shown_ = false;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point last_;
};

Result<Answer> send_file(Session& session, const Invocation& call, const std::string& target,
                         Sha256& digest) {
  net::UploadBody body = TRY(net::upload_from_file(call.args[1]));
  UploadProgress progress(session, target, static_cast<double>(body.length));
  auto read = std::move(body.read_some);
  body.read_some = [&](std::span<char> into) -> Result<std::size_t> {
    std::size_t count = TRY(read(into));
    digest.add({into.data(), count});
    return count;
  };
  body.progress = [&](std::uint64_t sent) { progress.sent(sent); };
  Query query = session.change_query();
  if (call.has("host")) query.emplace_back("host", call.value("host"));
  return TRY(session.api())
      ->upload(file_path(call.args[0], target), std::move(query), std::move(body),
               std::string(call.value("sha256")));
}

}  // namespace

Result<int> run_upload(Session& session, const Invocation& call) {
  const std::string& local = call.args[1];
  std::string target = call.args.size() > 2 ? call.args[2] : local.substr(local.rfind('/') + 1);
  if (target.ends_with('/')) target += local.substr(local.rfind('/') + 1);
  Sha256 digest;
  Answer answer = TRY(send_file(session, call, target, digest));
  if (session.options().dry_run) return session.tell_dry_run(target, answer.body);
  std::string sent = digest.hex();
  std::string_view stored = answer.body.get("sha256").text();
  if (!stored.empty() && stored != sent)
    return fail(Code::kInternal,
                fmt::format("{} arrived damaged: sent {}, stored {}", target, sent, stored));
  if (call.has("sha256") && call.value("sha256") != sent)
    return fail(Code::kInvalid, fmt::format("{} has the SHA-256 {}", local, sent), "--sha256");
  if (session.is_structured()) {
    session.out_value(answer.body);
  } else {
    session.out(fmt::format("{}:{} {} sha256 {}\n", call.args[0], target,
                            human_bytes(answer.body.get("size").number()), sent));
  }
  return exit_code::kOk;
}

Result<int> run_files(Session& session, const Invocation& call) {
  Query query;
  if (call.args.size() > 1) query.emplace_back("path", call.args[1]);
  if (call.has("host")) query.emplace_back("host", call.value("host"));
  Value answer =
      TRY(TRY(session.api())->get(ref_path("datastores", call.args[0], "files"), std::move(query)));
  const auto& items = answer.get("items").items();
  const std::vector<std::string_view> columns = {"path", "size", "format", "modified"};
  if (session.is_structured()) {
    session.out_value(answer);
  } else if (session.options().output == Output::kCsv) {
    session.out(make_csv(columns, items, true));
  } else if (session.options().quiet) {
    for (const Value& item : items) session.out(fmt::format("{}\n", item.get("path").text()));
  } else {
    bool fits = session.terminal().out_is_terminal();
    session.out(render_table(
        make_table(StoredFile::type(), columns, items, session.terminal().now()),
        {.width = fits ? session.terminal().width() : 0, .colours = session.colours()}));
  }
  return exit_code::kOk;
}

Result<int> run_remove_file(Session& session, const Invocation& call) {
  TRY(confirm(session, call, fmt::format("Delete {}:{}?", call.args[0], call.args[1])));
  Query query = session.change_query();
  if (call.has("host")) query.emplace_back("host", call.value("host"));
  Answer answer = TRY(TRY(session.api())
                          ->call({.method = "DELETE",
                                  .path = file_path(call.args[0], call.args[1]),
                                  .query = std::move(query)}));
  if (session.options().dry_run) return session.tell_dry_run(call.args[1], answer.body);
  session.note(fmt::format("{}:{} is gone\n", call.args[0], call.args[1]));
  return exit_code::kOk;
}

namespace {

Result<> save_backup(Session& session, int fd) {
  Result<> written;
  TRY(TRY(session.api())->download("/backup", [&](std::string_view bytes) {
    while (!bytes.empty()) {
      ssize_t count = ::write(fd, bytes.data(), bytes.size());
      if (count < 0) {
        written = fail(Code::kExhausted, "the file could not be written: is the disk full?");
        return false;
      }
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
  }));
  return written;
}

}  // namespace

Result<int> run_backup(Session& session, const Invocation& call) {
  const std::string& path = call.args[0];
  if (path == "-") {
    TRY(save_backup(session, STDOUT_FILENO));
    return exit_code::kOk;
  }
  // It holds password hashes: for its owner alone. A half backup never gets the name.
  std::string part = path + ".part";
  int fd = ::open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return fail(Code::kFailedPrecondition, fmt::format("cannot write {}", part));
  auto saved = save_backup(session, fd);
  bool synced = ::fsync(fd) == 0;
  ::close(fd);
  if (!saved || !synced || ::rename(part.c_str(), path.c_str()) != 0) {
    ::unlink(part.c_str());
    if (!saved) return std::unexpected(saved.error());
    return fail(Code::kExhausted, fmt::format("cannot write {}", path));
  }
  session.note(fmt::format("the manager's state is in {}\n", path));
  return exit_code::kOk;
}

}  // namespace chorok::cli
