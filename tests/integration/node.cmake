# The DICOM node alone, driven by dcmtk's senders and by a sender of raw PDUs.
add_executable(node_harness ${CMAKE_CURRENT_LIST_DIR}/node_harness.c)
target_link_libraries(node_harness PRIVATE room_dicom room_config)
add_test(NAME integration_node COMMAND bats ${CMAKE_CURRENT_LIST_DIR}/node.bats)
# Those of them in which threads meet: all that TSan needs to see.
add_test(NAME integration_node_threads COMMAND bats
  -f "at once|concurrent|one after another|while places are short|the whole folder|reloaded|on stop"
  ${CMAKE_CURRENT_LIST_DIR}/node.bats)
set_tests_properties(integration_node PROPERTIES LABELS integration COST 200)
set_tests_properties(integration_node_threads PROPERTIES LABELS threads)
set_tests_properties(integration_node integration_node_threads PROPERTIES TIMEOUT 1800
  ENVIRONMENT "NODE_HARNESS=$<TARGET_FILE:node_harness>;AURABRIDGE_DICOM=${AURABRIDGE_DICOM_DIRECTORY}")
