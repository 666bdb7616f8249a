# Uploads, over loopback and over a line with delay, rate and loss (scripts/bench.sh upload, e2e).
add_executable(upload_send ${CMAKE_CURRENT_LIST_DIR}/upload_send.c)
target_link_libraries(upload_send PRIVATE room_tus room_config)
add_executable(net_delay
  ${CMAKE_CURRENT_LIST_DIR}/net_delay.c ${CMAKE_CURRENT_LIST_DIR}/net_line.c
  ${CMAKE_CURRENT_LIST_DIR}/net_packet.c ${CMAKE_CURRENT_LIST_DIR}/net_tun.c)
target_link_libraries(net_delay PRIVATE aurabridge_options)
set_target_properties(upload_send net_delay PROPERTIES
  RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests/bench)

# Whether the harness works, not how fast anything is: in one build.
if(AURABRIDGE_SANITIZE)
  return()
endif()
find_package(Python3 REQUIRED COMPONENTS Interpreter)

# aurabridge_bench_test(NAME SCRIPT ARGUMENTS…)
function(aurabridge_bench_test name script)
  set(folder ${CMAKE_BINARY_DIR}/bench/${name})
  add_test(NAME bench_${name} COMMAND Python3::Interpreter ${CMAKE_CURRENT_LIST_DIR}/${script}
    --quick --tools ${CMAKE_BINARY_DIR}/tests/bench --directory ${folder}
    --json ${folder}/result.json ${ARGN})
  set_tests_properties(bench_${name} PROPERTIES TIMEOUT 300 LABELS release)
endfunction()

aurabridge_bench_test(upload_quick upload.py --rows loopback)
aurabridge_bench_test(upload_notices upload.py --rows loopback --spoil)
set_tests_properties(bench_upload_notices PROPERTIES
  PASS_REGULAR_EXPRESSION "the server stored other bytes")
if(TARGET bench_sender)
  aurabridge_bench_test(e2e_quick e2e.py --program $<TARGET_FILE:aurabridge> --rows study)
  aurabridge_bench_test(e2e_notices e2e.py --program $<TARGET_FILE:aurabridge> --rows first-byte
    --spoil)
  set_tests_properties(bench_e2e_notices PROPERTIES PASS_REGULAR_EXPRESSION "the archive holds 7")
endif()
add_test(NAME bench_net_path COMMAND Python3::Interpreter
  ${CMAKE_CURRENT_LIST_DIR}/test_net_path.py $<TARGET_FILE:net_delay>)
set_tests_properties(bench_net_path PROPERTIES TIMEOUT 300 LABELS release)
