#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "adapters/storage/qemu_img_storage.h"
#include "adapters/storage/resolve.h"
#include "ports/real_loop.h"

namespace chorok::adapters::storage {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class StorageTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (std::system("qemu-img --version >/dev/null 2>&1") != 0)
      GTEST_SKIP() << "qemu-img is not installed (./dev deps)";
    std::string pattern = ::testing::TempDir() + "chorok-storage-XXXXXX";
    root_ = mkdtemp(pattern.data());
    storage_ = std::make_unique<QemuImgStorage>(loop_);
  }
  void TearDown() override {
    storage_.reset();
    if (!root_.empty()) fs::remove_all(root_);
  }

  template <class T, class Start>
  Result<T> await(Start start) {
    std::optional<Result<T>> answer;
    start([&](Result<T> result) { answer = std::move(result); });
    EXPECT_FALSE(answer.has_value());
    EXPECT_TRUE(loop_.run_until([&] { return answer.has_value(); }, std::chrono::seconds(30)));
    return answer ? std::move(*answer) : fail(Code::kTimeout, "never completed");
  }
  Result<ports::ImageInfo> create(ports::CreateDisk request) {
    return await<ports::ImageInfo>([&](auto done) {
      storage_->create(
          request, [&](double percent) { percents_.push_back(percent); }, std::move(done));
    });
  }
  Result<ports::ImageInfo> info(const std::string& path) {
    return await<ports::ImageInfo>([&](auto done) { storage_->info(path, std::move(done)); });
  }
  Result<model::DatastoreReach> probe(const std::string& id, const std::string& path) {
    return await<model::DatastoreReach>(
        [&](auto done) { storage_->probe(id, path, std::move(done)); });
  }
  Result<> remove(const std::string& path) {
    return await<void>([&](auto done) { storage_->remove(path, std::move(done)); });
  }
  std::string at(const std::string& name) const { return root_ + "/" + name; }
  static void shell(const std::string& command) {
    ASSERT_EQ(std::system(command.c_str()), 0) << command;
  }

  ports::RealLoop loop_;
  std::string root_;
  std::unique_ptr<QemuImgStorage> storage_;
  std::vector<double> percents_;
};

TEST_F(StorageTest, MakesEmptyDisksOnce) {
  ports::CreateDisk request{at("vms/vm-1/root.qcow2"), model::DiskFormat::kQcow2, Mib(64), ""};
  auto made = create(request);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->capacity, Mib(64));
  EXPECT_EQ(made->format, model::DiskFormat::kQcow2);
  EXPECT_FALSE(made->has_backing);
  struct stat status{};
  ASSERT_EQ(stat(request.path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600);
  EXPECT_TRUE(create(request));
  request.size = Mib(128);
  EXPECT_EQ(create(request).error().code, Code::kAlreadyExists);
  auto raw = create({at("raw"), model::DiskFormat::kRaw, Mib(8), ""});
  ASSERT_TRUE(raw) << raw.error().message;
  EXPECT_EQ(raw->format, model::DiskFormat::kRaw);
  EXPECT_EQ(raw->capacity, Mib(8));
}

TEST_F(StorageTest, CopiesImagesAndGrowsThem) {
  shell("head -c 20000000 /dev/urandom > " + at("image.raw"));
  shell("qemu-img convert -f raw -O qcow2 " + at("image.raw") + " " + at("image.qcow2"));
  auto made = create({at("disk.qcow2"), model::DiskFormat::kQcow2, Mib(100), at("image.qcow2")});
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->capacity, Mib(100));
  EXPECT_GE(made->allocated, Mib(19));
  ASSERT_FALSE(percents_.empty());
  EXPECT_GT(percents_.back(), 90);
  EXPECT_FALSE(fs::exists(at("disk.qcow2.part")));
  struct stat status{};
  ASSERT_EQ(stat(at("disk.qcow2").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600);
  auto small = create({at("small.qcow2"), model::DiskFormat::kQcow2, Mib(1), at("image.qcow2")});
  ASSERT_TRUE(small);
  EXPECT_EQ(small->capacity, Mib(20)) << "at least the image's";
  EXPECT_TRUE(
      await<void>([&](auto done) { storage_->grow(at("disk.qcow2"), Mib(200), std::move(done)); }));
  EXPECT_EQ(info(at("disk.qcow2"))->capacity, Mib(200));
}

TEST_F(StorageTest, ImagesThatReferToOtherFilesAreRefused) {
  shell("qemu-img create -q -f qcow2 " + at("base.qcow2") + " 8M");
  shell("qemu-img create -q -f qcow2 -F qcow2 -b " + at("base.qcow2") + " " + at("child.qcow2"));
  shell("qemu-img create -q -f qcow2 -o data_file=" + at("data") + " " + at("split.qcow2") + " 8M");
  for (const char* image : {"child.qcow2", "split.qcow2"}) {
    EXPECT_TRUE(info(at(image))->has_backing) << image;
    auto made = create({at("disk.qcow2"), model::DiskFormat::kQcow2, Mib(64), at(image)});
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, Code::kInvalid);
    EXPECT_FALSE(fs::exists(at("disk.qcow2")));
  }
}

TEST_F(StorageTest, WhatLooksLikeAnotherFormatIsTakenAsRaw) {
  // A VMDK descriptor that names a file of the host: qemu-img would follow it if it guessed.
  std::ofstream(at("evil.img"))
      << "# Disk DescriptorFile\nversion=1\ncreateType=\"monolithicFlat\"\n"
         "RW 2048 FLAT \"/etc/shadow\" 0\n";
  auto found = info(at("evil.img"));
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->format, model::DiskFormat::kRaw);
  ASSERT_EQ(mkfifo(at("pipe").c_str(), 0600), 0);
  EXPECT_EQ(info(at("pipe")).error().code, Code::kInvalid);
  EXPECT_EQ(info(at("nothing")).error().code, Code::kNotFound);
}

TEST_F(StorageTest, RemovingTwiceIsFine) {
  ASSERT_TRUE(create({at("vms/vm-1/d.qcow2"), model::DiskFormat::kQcow2, Mib(1), ""}));
  EXPECT_TRUE(remove(at("vms/vm-1/d.qcow2")));
  EXPECT_TRUE(remove(at("vms/vm-1/d.qcow2")));
  EXPECT_FALSE(fs::exists(at("vms/vm-1")));
}

TEST_F(StorageTest, AFileInUseIsNotRemoved) {
  ASSERT_TRUE(create({.path = at("vms/vm-1/used.qcow2"), .size = Mib(8)}));
  const std::string path = at("vms/vm-1/used.qcow2");
  // As QEMU holds it: a shared lock on a byte for each right that it has.
  int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_GE(fd, 0);
  struct flock byte{};
  byte.l_type = F_RDLCK;
  byte.l_start = 101;
  byte.l_len = 1;
  ASSERT_EQ(fcntl(fd, F_OFD_SETLK, &byte), 0);
  auto refused = remove(path);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kFailedPrecondition);
  EXPECT_THAT(refused.error().message, HasSubstr("in use"));
  EXPECT_TRUE(fs::exists(path));
  close(fd);
  EXPECT_TRUE(remove(path));
  EXPECT_FALSE(fs::exists(path));
}

TEST_F(StorageTest, AMarkerTellsDatastoresApart) {
  auto reach = probe("ds-1", root_);
  ASSERT_TRUE(reach) << reach.error().message;
  EXPECT_TRUE(reach->reachable) << reach->message;
  EXPECT_GT(reach->capacity, Mib{});
  EXPECT_LE(reach->free, reach->capacity);
  EXPECT_TRUE(probe("ds-1", root_)->reachable);
  auto other = probe("ds-2", root_);
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, Code::kConflict);
  EXPECT_THAT(other.error().message, HasSubstr("ds-1"));
  auto gone = probe("ds-1", root_ + "/gone");
  ASSERT_TRUE(gone);
  EXPECT_FALSE(gone->reachable);
  EXPECT_FALSE(gone->message.empty());
}

TEST_F(StorageTest, PathsStayBeneathTheirDatastore) {
  fs::create_directories(at("ds/folder"));
  fs::create_directories(at("outside"));
  std::ofstream(at("outside/secret")) << "x";
  fs::create_symlink(at("outside"), at("ds/out"));
  fs::create_symlink("../outside/secret", at("ds/file"));
  fs::create_symlink(at("outside/not-yet"), at("ds/dangling"));
  fs::create_symlink("folder", at("ds/in"));
  fs::create_symlink("loop", at("ds/loop"));
  std::string root = at("ds");
  EXPECT_EQ(*storage_->resolve(root, "folder/new.qcow2"), root + "/folder/new.qcow2");
  EXPECT_EQ(*storage_->resolve(root, "a/b/c.qcow2"), root + "/a/b/c.qcow2");
  EXPECT_TRUE(storage_->resolve(root, "in/x"));
  for (const char* path :
       {"", "/etc/passwd", "..", "../outside/secret", "folder/../../outside/secret", "a/../b",
        "./a", "folder/", "out/secret", "out/new", "out/a/b", "file", "dangling", "dangling/x",
        "loop", "a\nb", "a\x01"}) {
    auto resolved = storage_->resolve(root, path);
    ASSERT_FALSE(resolved) << path << " -> " << *resolved;
    EXPECT_EQ(resolved.error().code, Code::kInvalid) << path << ": " << resolved.error().message;
  }
  EXPECT_FALSE(storage_->resolve(root, std::string(2000, 'a')));
  EXPECT_EQ(storage_->resolve(at("no-such"), "a").error().code, Code::kUnavailable);
}

TEST_F(StorageTest, ADestroyedStorageKillsItsChildren) {
  QemuImgOptions options;
  options.qemu_img = at("slow");
  std::ofstream(at("slow")) << "#!/bin/sh\nexec sleep 1000\n";
  chmod(at("slow").c_str(), 0755);
  auto storage = std::make_unique<QemuImgStorage>(loop_, options);
  bool completed = false;
  storage->create({at("disk"), model::DiskFormat::kRaw, Mib(1), ""}, {},
                  [&](Result<ports::ImageInfo>) { completed = true; });
  loop_.run_until([] { return false; }, std::chrono::milliseconds(200));
  auto before = std::chrono::steady_clock::now();
  storage.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(1));
  loop_.run_until([] { return false; }, std::chrono::milliseconds(50));
  EXPECT_FALSE(completed);
}

}  // namespace
}  // namespace chorok::adapters::storage
