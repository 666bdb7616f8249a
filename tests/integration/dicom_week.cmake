# The DICOM side of a bad week against the whole bridge, in every build, and a fuzzer of PDUs against
# the one with ASan. It runs as long as it is told, and any exchange again:
#   tests/integration/pdu_fuzz.py --program build/asan/aurabridge --seconds 3600
find_program(AURABRIDGE_PYTHON python3 REQUIRED)
add_test(NAME integration_dicom_week COMMAND ${AURABRIDGE_PYTHON}
  ${CMAKE_CURRENT_LIST_DIR}/dicom_week.py $<TARGET_FILE:aurabridge>)
if(AURABRIDGE_SANITIZE)
  set(label integration)
else()
  set(label release)
endif()
set_tests_properties(integration_dicom_week PROPERTIES TIMEOUT 900 LABELS ${label})

set(AURABRIDGE_FUZZ_SECONDS 30 CACHE STRING "Seconds for each fuzzer under ctest")
if(AURABRIDGE_SANITIZE MATCHES "address")
  add_test(NAME fuzz_pdus COMMAND ${AURABRIDGE_PYTHON} ${CMAKE_CURRENT_LIST_DIR}/pdu_fuzz.py
    --program $<TARGET_FILE:aurabridge> --seed 1 --seconds ${AURABRIDGE_FUZZ_SECONDS})
  set_tests_properties(fuzz_pdus PROPERTIES TIMEOUT 600 LABELS fuzz)
endif()
