#include "adapters/sqlite/pack.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>

#include <array>
#include <memory>

namespace chorok::sqlite {

namespace {

constexpr std::string_view kZstdMagic = "\x28\xb5\x2f\xfd";  // RFC 8878, 3.1.1

struct FreeWriter {
  void operator()(archive* a) const { archive_write_free(a); }
};
struct FreeReader {
  void operator()(archive* a) const { archive_read_free(a); }
};
struct FreeEntry {
  void operator()(archive_entry* e) const { archive_entry_free(e); }
};

Unexpected failure(archive* a, std::string_view what) {
  const char* why = archive_error_string(a);
  return fail(Code::kInternal, fmt::format("{}: {}", what, why == nullptr ? "no memory" : why));
}

la_ssize_t append_to(archive*, void* out, const void* bytes, std::size_t size) {
  static_cast<std::string*>(out)->append(static_cast<const char*>(bytes), size);
  return static_cast<la_ssize_t>(size);
}

}  // namespace

Result<std::string> pack(std::string_view text) {
  std::string out;
  std::unique_ptr<archive, FreeWriter> writer(archive_write_new());
  archive* a = writer.get();
  const std::unique_ptr<archive_entry, FreeEntry> entry(archive_entry_new());
  if (a == nullptr || entry == nullptr) return fail(Code::kExhausted, "no memory to pack a text");
  archive_entry_set_filetype(entry.get(), AE_IFREG);
  archive_entry_set_pathname(entry.get(), "text");
  archive_write_set_bytes_per_block(a, 0);
  const bool is_well =
      archive_write_set_format_raw(a) == ARCHIVE_OK &&
      archive_write_add_filter_zstd(a) == ARCHIVE_OK &&
      archive_write_open(a, &out, nullptr, append_to, nullptr) == ARCHIVE_OK &&
      archive_write_header(a, entry.get()) == ARCHIVE_OK &&
      archive_write_data(a, text.data(), text.size()) == static_cast<la_ssize_t>(text.size()) &&
      archive_write_close(a) == ARCHIVE_OK;
  if (!is_well) return failure(a, "a text cannot be packed");
  return out;
}

Result<std::string> unpack(std::string_view packed, std::size_t bytes_max) {
  // The raw format takes any bytes as they are.
  if (!packed.starts_with(kZstdMagic))
    return fail(Code::kInvalid, "a text cannot be unpacked: it was not packed");
  std::unique_ptr<archive, FreeReader> reader(archive_read_new());
  archive* a = reader.get();
  if (a == nullptr) return fail(Code::kExhausted, "no memory to unpack a text");
  archive_read_support_format_raw(a);
  archive_read_support_filter_zstd(a);
  archive_entry* entry = nullptr;
  if (archive_read_open_memory(a, packed.data(), packed.size()) != ARCHIVE_OK ||
      archive_read_next_header(a, &entry) != ARCHIVE_OK)
    return failure(a, "a text cannot be unpacked");
  std::string out;
  std::array<char, 64 << 10> part{};
  for (;;) {
    const la_ssize_t got = archive_read_data(a, part.data(), part.size());
    if (got < 0) return failure(a, "a text cannot be unpacked");
    if (got == 0) return out;
    if (out.size() + static_cast<std::size_t>(got) > bytes_max)
      return fail(Code::kExhausted, "a text is larger than any that was packed");
    out.append(part.data(), static_cast<std::size_t>(got));
  }
}

}  // namespace chorok::sqlite
