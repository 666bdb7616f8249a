# Our Tus client against the Tus project's own server (npm, pinned).
add_executable(tus_send ${CMAKE_SOURCE_DIR}/tests/support/tus_send.c)
target_link_libraries(tus_send PRIVATE room_tus)
add_test(NAME integration_tus COMMAND bats ${CMAKE_CURRENT_LIST_DIR}/tus.bats)
set_tests_properties(integration_tus PROPERTIES TIMEOUT 1800 LABELS integration
  ENVIRONMENT "TUS_SEND=$<TARGET_FILE:tus_send>")
