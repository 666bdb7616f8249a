# The DICOM node alone, driven by dcmtk's senders and by a sender of raw PDUs.
add_executable(node_harness ${CMAKE_CURRENT_LIST_DIR}/node_harness.c)
target_link_libraries(node_harness PRIVATE room_dicom room_config)
add_test(NAME integration_node COMMAND bats ${CMAKE_CURRENT_LIST_DIR}/node.bats)
set_tests_properties(integration_node PROPERTIES TIMEOUT 1800 LABELS integration
  COST 200
  ENVIRONMENT "NODE_HARNESS=$<TARGET_FILE:node_harness>;AURABRIDGE_DICOM=${AURABRIDGE_DICOM_DIRECTORY}")
