// edit: by flags, by --set, or in the person's editor; what goes over is a merge patch, after the
// editor against the revision that was shown there.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "cli/flags.h"
#include "cli/handlers.h"
#include "cli/objects.h"
#include "cli/patch.h"
#include "cli/schema.h"
#include "cli/whole_file.h"
#include "cli/yaml.h"

namespace chorok::cli {
namespace {

// A file of ours alone; it stays when the change was refused, so that nobody's typing is lost.
class ScratchFile {
 public:
  static Result<ScratchFile> create(std::string_view text) {
    ScratchFile file;
    file.path_ = temporary_folder() + "/chorok-XXXXXX.yaml";
    int fd = ::mkostemps(file.path_.data(), 5, O_CLOEXEC);
    if (fd < 0)
      return fail(Code::kExhausted,
                  "no temporary file for the editor; set TMPDIR to a folder that you may write to");
    bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    ::close(fd);
    if (!written) return fail(Code::kExhausted, "the temporary file could not be written");
    return file;
  }
  const std::string& path() const { return path_; }
  void remove() const { ::unlink(path_.c_str()); }

 private:
  std::string path_;
};

Result<Value> edit_in_editor(Session& session, const Type& type, const Value& object,
                             const ScratchFile& file) {
  TRY(session.terminal().run_editor(file.path()));
  Value edited = TRY(read_object(session, type, file.path()));
  return merge_patch(writable_part(type, object), edited);
}

std::string editor_text(const Type& type, const Value& object, std::string_view what) {
  return fmt::format(
      "# {}: change what you like, save and leave. Without a change nothing is done.\n"
      "# What a field means: chorok explain KIND.FIELD\n{}",
      what, to_yaml(writable_part(type, object)));
}

Result<int> send_patch(Session& session, const model::ResourceKind& kind, const Answer& before,
                       const Value& patch) {
  Answer answer = TRY(TRY(session.api())
                          ->call({.method = "PATCH",
                                  .path = ref_path(kind.plural, id_of(before.body)),
                                  .query = session.change_query(),
                                  .body = to_json(patch),
                                  .if_match = before.etag}));
  std::string_view name = name_of(before.body);
  if (session.options().dry_run) return session.tell_dry_run(name, answer.body);
  if (session.is_structured()) {
    session.out_value(answer.body);
    return exit_code::kOk;
  }
  session.note(fmt::format("{} {} is changed\n", kind.kind, name));
  const auto& pending = answer.body.get("status/pending").items();
  for (const Value& field : pending)
    session.note(fmt::format("  {} waits for the next boot\n", field.text()));
  return exit_code::kOk;
}

Result<int> edit_with_editor(Session& session, const model::ResourceKind& kind,
                             const Answer& before) {
  std::string what = fmt::format("{} {}", kind.kind, name_of(before.body));
  auto file = TRY(ScratchFile::create(editor_text(kind.type(), before.body, what)));
  auto patch = edit_in_editor(session, kind.type(), before.body, file);
  if (patch && patch->is_empty()) {
    file.remove();
    session.note("nothing was changed\n");
    return exit_code::kOk;
  }
  auto sent = patch ? send_patch(session, kind, before, *patch) : std::unexpected(patch.error());
  if (sent)
    file.remove();
  else
    session.note(fmt::format("what you wrote is kept in {}\n", file.path()));
  return sent;
}

}  // namespace

Result<int> run_edit(Session& session, const Invocation& call) {
  const model::ResourceKind& kind = *call.command->kind;
  std::string name = call.args.empty() ? TRY(only_name(session, kind)) : call.args[0];
  Value patch = Value::object();
  for (const std::string& assignment : call.values("set"))
    if (auto set = set_from_text(patch, kind.type(), assignment); !set)
      return usage_fail(set.error().message, "--set");
  TRY(apply_flags(call, patch));
  Answer before = TRY(TRY(session.api())->call({.path = ref_path(kind.plural, name)}));
  if (!patch.is_empty()) {
    // Flags say what is to be, whatever it was: a host that reports meanwhile does not stand
    // against that. What a person has seen in an editor does.
    before.etag.clear();
    return send_patch(session, kind, before, patch);
  }
  Value::List named = {std::move(before.body)};
  show_names(session, kind, named);
  before.body = std::move(named[0]);
  return edit_with_editor(session, kind, before);
}

}  // namespace chorok::cli
