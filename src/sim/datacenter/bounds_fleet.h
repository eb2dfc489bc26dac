// Hosts of several types as the bounds see them: what numbers of them draw for a demand, and which
// numbers are cheapest.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "sim/datacenter/hosts.h"

namespace chorok::sim::datacenter {

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Where on its curve a MHz costs a host the fewest watts.
struct BestLoad {
  double mhz = 0;
  double watts_per_mhz = kInfinity;
};
BestLoad best_load(const HostType& host);

class Fleet {
 public:
  using Counts = std::span<const std::int32_t>;  // by type

  Fleet(std::span<const HostType> types, std::span<const std::int32_t> counts);

  std::size_t types() const { return most_.size(); }
  // Infinite when they cannot serve it. The demand is split over the lower convex envelopes of
  // their curves, cheapest slope first.
  double watts(Counts n, double demand) const;
  // Those of the cheapest numbers of hosts, infinite where all of them cannot serve it. Of one or
  // two types by looking at every number of the first. Of more: exact as long as kNodesMost
  // combinations do, else a lower bound by Lagrange's multipliers for demand and memory, which is
  // within a host or two of it.
  double least_watts(double demand, double memory) const;
  // More hosts of a type than this only draw idle power: at the load where a MHz costs least they
  // carry all of the demand alone.
  std::int32_t useful(std::size_t type, double demand) const;

  static constexpr std::size_t kNodesMost = 5'000;

 private:
  friend class CountSearch;
  struct Segment {
    double watts_per_mhz = 0;
    double mhz = 0;  // of one host
    std::size_t type = 0;
  };
  struct Vertex {  // of an envelope
    double mhz = 0;
    double watts = 0;
  };
  void add_envelope(const HostType& host, std::size_t type);
  double idle_of(Counts n) const;
  // The least hosts of the last type that the others need beside them; more than there are: never.
  std::int32_t least_last(Counts n, double demand, double memory) const;
  double least_of_two(double demand, double memory) const;
  // Goes up from the least numbers of the last type while that pays; `least` falls. Watts are
  // convex along any type.
  void try_last(std::vector<std::int32_t>& n, double demand, double memory, double& least) const;

  std::vector<Segment> segments_;              // of growing slope
  std::vector<std::vector<Vertex>> envelope_;  // by type
  std::vector<std::int32_t> most_;
  std::vector<double> mhz_;
  std::vector<double> memory_;
  std::vector<double> idle_;
  std::vector<double> best_mhz_;  // of one host, at its best watts per MHz
};

}  // namespace chorok::sim::datacenter
