// ports::Storage over the files of a FakeWorld, as one host reaches them. It works in the agent's
// own process: a file that was being made when the agent died is not there. Made by
// FakeWorld::open_storage.
#pragma once

#include <memory>

#include "ports/storage.h"
#include "sim/fake_daemon.h"

namespace chorok::sim {

class FakeStorage final : public ports::Storage {
 public:
  FakeStorage(FakeWorld& world, HostIndex host) : world_(world), host_(host) {}
  ~FakeStorage() override { connection_->alive = false; }

  void probe(std::string id, std::string path, Done<Result<model::DatastoreReach>> done) override;
  Result<std::string> resolve(const std::string& root, const std::string& relative) override;
  void create(ports::CreateDisk request, std::function<void(double percent)> progress,
              Done<Result<ports::ImageInfo>> done) override;
  void info(std::string path, Done<Result<ports::ImageInfo>> done) override;
  void grow(std::string path, Mib size, Done<Result<>> done) override;
  void remove(std::string path, Done<Result<>> done) override;

 private:
  template <class T, class Effect>
  void run(const char* op, Duration takes, Effect effect, Done<Result<T>> done);

  FakeWorld& world_;
  HostIndex host_;
  std::shared_ptr<Connection> connection_ = std::make_shared<Connection>();
};

}  // namespace chorok::sim
