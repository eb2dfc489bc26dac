#include "ports/hypervisor_moves_contract.h"
#include "sim/fake_fixture.h"

namespace chorok::ports {
INSTANTIATE_TYPED_TEST_SUITE_P(Fake, HypervisorMoves, sim::FakeFixture);
}  // namespace chorok::ports
