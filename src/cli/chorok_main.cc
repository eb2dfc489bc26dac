// The program chorok.
#include <string>
#include <vector>

#include "cli/session.h"

int main(int argc, char** argv) {
  auto terminal = chorok::cli::system_terminal();
  return chorok::cli::run(std::vector<std::string>(argv + 1, argv + argc), *terminal);
}
