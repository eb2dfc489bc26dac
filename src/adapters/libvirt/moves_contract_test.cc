// What moves, of the contract of ports::Hypervisor, against real libvirt.
#include "adapters/libvirt/real_hosts.h"
#include "ports/hypervisor_moves_contract.h"

namespace chorok::ports {
INSTANTIATE_TYPED_TEST_SUITE_P(RealLibvirt, HypervisorMoves, adapters::libvirt::RealHosts);
}  // namespace chorok::ports
