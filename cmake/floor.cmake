# A floor of the house is a folder under src/: one static library from its *.cc, one test program from its
# *_test.cc. What a floor may link to is listed once, in src/CMakeLists.txt; `tidy` checks the includes.
# TEST_PCH: headers that most of its tests include, compiled once for all of them. Tests only: in the code a header that
# comes by itself would hide a missing include.
function(chorok_floor folder)
  cmake_parse_arguments(ARG "" "" "DEPS;TEST_DEPS;TEST_PCH" ${ARGN})
  string(REPLACE "/" "_" name ${folder})
  file(GLOB sources CONFIGURE_DEPENDS ${folder}/*.cc)
  file(GLOB tests CONFIGURE_DEPENDS ${folder}/*_test.cc)
  file(GLOB mains CONFIGURE_DEPENDS ${folder}/*_main.cc)
  list(REMOVE_ITEM sources ${tests} ${mains} "")
  if(sources)
    add_library(${name} STATIC ${sources})
    target_link_libraries(${name} PUBLIC chorok_options ${ARG_DEPS})
  else()
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE chorok_options ${ARG_DEPS})
  endif()
  if(tests)
    add_executable(${name}_test ${tests})
    target_link_libraries(${name}_test PRIVATE ${name} ${ARG_TEST_DEPS} GTest::gmock GTest::gtest GTest::gtest_main)
    # Typed suites are large; what is tested is compiled as the preset says.
    target_compile_options(${name}_test PRIVATE -O1)
    if(ARG_TEST_PCH)
      target_precompile_headers(${name}_test PRIVATE <gmock/gmock.h> <gtest/gtest.h> ${ARG_TEST_PCH})
      target_compile_options(${name}_test PRIVATE "SHELL:-Xclang -fno-pch-timestamp") # for ccache
    endif()
    set_property(GLOBAL APPEND PROPERTY CHOROK_TESTS ${name}_test)
  endif()
endfunction()

# A program is one *_main.cc of a folder.
function(chorok_program program main)
  add_executable(${program} ${main})
  target_link_libraries(${program} PRIVATE chorok_options ${ARGN})
endfunction()
