# Uploads, over loopback and over a line with delay, rate and loss (scripts/bench.sh upload, e2e).
add_executable(upload_send ${CMAKE_CURRENT_LIST_DIR}/upload_send.c)
target_link_libraries(upload_send PRIVATE room_tus room_config)
add_executable(net_delay
  ${CMAKE_CURRENT_LIST_DIR}/net_delay.c ${CMAKE_CURRENT_LIST_DIR}/net_line.c
  ${CMAKE_CURRENT_LIST_DIR}/net_packet.c ${CMAKE_CURRENT_LIST_DIR}/net_tun.c)
target_link_libraries(net_delay PRIVATE aurabridge_options)
set_target_properties(upload_send net_delay PROPERTIES
  RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests/bench)

# Whether the harness works, not how fast anything is.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
set(upload_bench Python3::Interpreter ${CMAKE_CURRENT_LIST_DIR}/upload.py --quick
  --build ${CMAKE_BINARY_DIR})
add_test(NAME bench_upload_quick COMMAND ${upload_bench} loopback
  --directory ${CMAKE_BINARY_DIR}/bench/quick --json ${CMAKE_BINARY_DIR}/bench/quick/upload.json)
add_test(NAME bench_upload_notices_other_bytes COMMAND ${upload_bench} loopback --spoil
  --directory ${CMAKE_BINARY_DIR}/bench/spoilt --json ${CMAKE_BINARY_DIR}/bench/spoilt/upload.json)
set_tests_properties(bench_upload_notices_other_bytes PROPERTIES
  PASS_REGULAR_EXPRESSION "the server stored other bytes")
add_test(NAME bench_net_path COMMAND Python3::Interpreter
  ${CMAKE_CURRENT_LIST_DIR}/test_net_path.py $<TARGET_FILE:net_delay>)
set_tests_properties(bench_net_path bench_upload_quick bench_upload_notices_other_bytes PROPERTIES TIMEOUT 300
  LABELS integration)
