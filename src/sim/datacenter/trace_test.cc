#include "sim/datacenter/trace.h"

#include <archive.h>
#include <archive_entry.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "sim/datacenter/test_support.h"

namespace chorok::sim::datacenter {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class Traces : public ::testing::Test {
 protected:
  Traces() : folder_(fs::temp_directory_path() / ("chorok-traces-" + std::to_string(getpid()))) {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~Traces() override { fs::remove_all(folder_); }

  void write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name, std::ios::binary) << text;
  }
  fs::path pack(const std::vector<std::pair<std::string, std::string>>& files) {
    fs::path path = folder_ / "day.tar.xz";
    archive* a = archive_write_new();
    archive_write_add_filter_xz(a);
    archive_write_set_format_ustar(a);
    archive_write_open_filename(a, path.c_str());
    for (const auto& [name, text] : files) {
      archive_entry* entry = archive_entry_new();
      archive_entry_set_pathname(entry, name.c_str());
      archive_entry_set_size(entry, static_cast<la_int64_t>(text.size()));
      archive_entry_set_filetype(entry, AE_IFREG);
      archive_entry_set_perm(entry, 0644);
      archive_write_header(a, entry);
      archive_write_data(a, text.data(), text.size());
      archive_entry_free(entry);
    }
    archive_write_free(a);
    return path;
  }
  std::string error_of(const Result<TraceSet>& result) {
    return result ? "no error" : result.error().message;
  }

  fs::path folder_;
};

TEST_F(Traces, StandInTheByteOrderOfTheirNames) {
  write("b", "1\n2\n");
  write("a b", "3\n4\n");
  write("B", "5\r\n100\r\n");
  auto set = read_planetlab(folder_);
  ASSERT_TRUE(set) << error_of(set);
  ASSERT_EQ(set->vms.size(), 3U);
  EXPECT_EQ(set->samples, 2U);
  EXPECT_EQ(set->vms[0].name, "B");
  EXPECT_EQ(set->vms[1].name, "a b");
  EXPECT_EQ(set->vms[2].name, "b");
  EXPECT_EQ(set->cpu, (std::vector<double>{0.05, 0.03, 0.01, 1, 0.04, 0.02}));
}

TEST_F(Traces, AnArchiveReadsAsItsFolder) {
  auto set = read_planetlab(pack({{"20110303/b", "1\n2\n"}, {"20110303/a", "3\n4\n"}}));
  ASSERT_TRUE(set) << error_of(set);
  EXPECT_EQ(set->vms[0].name, "a");
  EXPECT_EQ(set->cpu, (std::vector<double>{0.03, 0.01, 0.04, 0.02}));
}

TEST_F(Traces, ErrorsNameFileLineAndFix) {
  write("a", "1\n2\n");
  write("b", "1\nmuch\n");
  EXPECT_THAT(error_of(read_planetlab(folder_)), HasSubstr("b:2: 'much' is no CPU use in percent"));
  write("b", "1\n101\n");
  EXPECT_THAT(error_of(read_planetlab(folder_)), HasSubstr("b:2: '101'"));
  write("b", "1\n2\n3\n");
  EXPECT_THAT(error_of(read_planetlab(folder_)), HasSubstr("3 samples, but the files before"));
  write("b", "1\n");
  EXPECT_THAT(error_of(read_planetlab(folder_)), HasSubstr("two samples at least"));
  EXPECT_THAT(error_of(read_planetlab(folder_ / "nowhere")), HasSubstr("no such file or folder"));
  write("c.tar", "this is not a tar");
  EXPECT_THAT(error_of(read_planetlab(folder_ / "c.tar")), HasSubstr("c.tar: "));
}

TEST_F(Traces, BoundsAreKept) {
  write("a", "1\n2\n");
  write("b", "1\n2\n");
  TraceLimits limits;
  limits.read.files_max = 1;
  EXPECT_THAT(error_of(read_planetlab(folder_, limits)), HasSubstr("more than 1 files"));
  limits = {};
  limits.vms_max = 1;
  EXPECT_THAT(error_of(read_planetlab(folder_, limits)), HasSubstr("more than 1 VMs"));
  limits = {};
  limits.samples_max = 1;
  EXPECT_THAT(error_of(read_planetlab(folder_, limits)), HasSubstr("a:2: more samples"));
  limits = {};
  limits.read.total_bytes_max = 5;
  EXPECT_THAT(error_of(read_planetlab(folder_, limits)), HasSubstr("more than 1 bytes in all"));
}

TEST(PlanetLab, TheSharedDayIsAsDescribed) {
  CHOROK_NEED_SHARED_DATA();
  auto set = read_planetlab(*shared_data() / "planetlab/20110303.tar.xz");
  ASSERT_TRUE(set) << set.error().message;
  EXPECT_EQ(set->vms.size(), 1052U);
  EXPECT_EQ(set->samples, 288U);
  EXPECT_EQ(set->vms[0].name, "146-179_surfsnel_dsl_internl_net_colostate_557");
}

}  // namespace
}  // namespace chorok::sim::datacenter
