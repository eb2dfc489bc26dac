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

TEST_F(Traces, BitbrainsFoldersHaveSizesAndMemory) {
  write("vms.csv", "vm,cores,cpu_mhz,mem_mb,samples\n7,2,2000,1024,3\nx,1,1000,512,2\n");
  write("cpu_mhz.txt", "x -1 250 500\n7 1000 0 3000\n");
  write("mem_used_mb.txt", "7 100 200 300\nx -1 10 20\n");
  auto set = read_traces(folder_);
  ASSERT_TRUE(set) << error_of(set);
  EXPECT_EQ(set->samples, 3U);
  EXPECT_EQ(set->vms[0].cores, 2);
  EXPECT_DOUBLE_EQ(set->vms[1].memory_mib, 512);
  EXPECT_EQ(set->cpu, (std::vector<double>{0.5, -1, 0, 0.25, 1.5, 0.5}));
  EXPECT_EQ(set->memory, (std::vector<double>{100, -1, 200, 10, 300, 20}));

  write("cpu_mhz.txt", "x -1 250 500\n7 1000 -1 3000\n");
  EXPECT_THAT(error_of(read_traces(folder_)), HasSubstr("cpu_mhz.txt:2: sample 2 of VM 7"));
  write("cpu_mhz.txt", "x -1 250 500\n7 1000 0\n");
  EXPECT_THAT(error_of(read_traces(folder_)), HasSubstr("sample 3 of VM 7"));
  write("cpu_mhz.txt", "x -1 250 500\n7 1000 0 1 2\n");
  EXPECT_THAT(error_of(read_traces(folder_)), HasSubstr("more than 3 samples"));
  write("cpu_mhz.txt", "x -1 250 500\n");
  EXPECT_THAT(error_of(read_traces(folder_)), HasSubstr("no line for VM 7"));
  write("cpu_mhz.txt", "y 1 2 3\n");
  EXPECT_THAT(error_of(read_traces(folder_)), HasSubstr("not in vms.csv"));
  write("vms.csv", "vm,cores,cpu_mhz,mem_mb,samples\n7,2,0,1024,3\n");
  EXPECT_THAT(error_of(read_traces(folder_)), HasSubstr("vms.csv:2: '7,2,0,1024,3'"));
}

TEST_F(Traces, CsvIsPutIntoSlots) {
  write("day.csv",
        "time_s,vm,cpu_mhz,memory_mib,size_mhz,size_mib\n"
        "600,a,100,10,1000,64\n"
        "700,a,300,30,1000,64\n"
        "1200,a,500,,1000,64\n"
        "900,b,1000,5,2000,128\n");
  auto set = read_traces(folder_ / "day.csv");
  ASSERT_TRUE(set) << error_of(set);
  EXPECT_EQ(set->samples, 3U);
  EXPECT_DOUBLE_EQ(set->vms[1].cpu_mhz, 2000);
  // a: mean of two, a gap, half; b: nothing yet, half, and that again.
  EXPECT_EQ(set->cpu, (std::vector<double>{0.2, -1, 0.2, 0.5, 0.5, 0.5}));
  EXPECT_EQ(set->memory, (std::vector<double>{20, -1, 20, 5, 20, 5}));
  write("day.csv", "vm,time_s,cpu_percent\na,2026-11-21T00:00:00Z,50\na,2026-11-21T00:05:00Z,25\n");
  set = read_traces(folder_ / "day.csv");
  ASSERT_TRUE(set) << error_of(set);
  EXPECT_EQ(set->cpu, (std::vector<double>{0.5, 0.25}));
}

TEST_F(Traces, CsvErrorsNameTheColumn) {
  auto error = [&](const std::string& text) {
    write("day.csv", text);
    return error_of(read_csv(folder_ / "day.csv", std::chrono::minutes(5)));
  };
  EXPECT_THAT(error("time,vm,cpu_percent\n"), HasSubstr("day.csv:1: column 'time' is unknown"));
  EXPECT_THAT(error("time_s,vm\n"), HasSubstr("one of cpu_percent and cpu_mhz"));
  EXPECT_THAT(error("time_s,vm,cpu_mhz\n"), HasSubstr("needs size_mhz"));
  EXPECT_THAT(error("time_s,vm,cpu_percent\n"), HasSubstr("no sample"));
  EXPECT_THAT(error("time_s,vm,cpu_percent\n0,a,nan\n"), HasSubstr("day.csv:2: cpu_percent"));
  EXPECT_THAT(error("time_s,vm,cpu_percent\nx,a,1\n"), HasSubstr("time_s is 'x'"));
  EXPECT_THAT(error("time_s,vm,cpu_percent\n0,,1\n"), HasSubstr("no VM's name"));
  EXPECT_THAT(error("time_s,vm,cpu_percent\n0,a\n"), HasSubstr("cpu_percent is ''"));
  EXPECT_THAT(error("time_s,vm,cpu_percent\n0,a,1\n1,a,1\n"), HasSubstr("in one interval"));
  EXPECT_THAT(error("time_s,vm,cpu_percent\n0,a,1\n1e12,a,1\n"), HasSubstr("split the traces"));
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
