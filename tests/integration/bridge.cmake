# The whole bridge against the sandbox and the real Tus server, with real senders.
set(AURABRIDGE_WORLD
  "AURABRIDGE=$<TARGET_FILE:aurabridge>"
  "AURABRIDGE_DICOM=${AURABRIDGE_DICOM_DIRECTORY}"
  "AURABRIDGE_SUPPORT=${CMAKE_SOURCE_DIR}/tests/support")

function(aurabridge_world_test name label)
  add_test(NAME integration_${name} COMMAND bats ${CMAKE_CURRENT_LIST_DIR}/${name}.bats)
  set_tests_properties(integration_${name} PROPERTIES TIMEOUT 1800 LABELS ${label}
    ENVIRONMENT "${AURABRIDGE_WORLD}")
endfunction()

find_program(AURABRIDGE_PYTHON python3 REQUIRED)
add_test(NAME integration_bad_week
  COMMAND ${AURABRIDGE_PYTHON} ${CMAKE_CURRENT_LIST_DIR}/bad_week.py $<TARGET_FILE:aurabridge>)
set_tests_properties(integration_bad_week PROPERTIES TIMEOUT 1800 LABELS integration)

aurabridge_world_test(bridge integration)
aurabridge_world_test(newcomer release)
aurabridge_world_test(regressions integration)
aurabridge_world_test(files integration)
aurabridge_world_test(readers release)
aurabridge_world_test(audit integration)
aurabridge_world_test(journal integration)
aurabridge_world_test(delivery_tus integration)
aurabridge_world_test(upload_path integration)
aurabridge_world_test(memory release)
aurabridge_world_test(pressure integration)

# The longest begin first, so that none of them is left alone at the end.
set_tests_properties(integration_bridge integration_files integration_regressions
  integration_bad_week integration_pressure integration_audit PROPERTIES COST 200)
