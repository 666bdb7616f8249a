# One static library per room, all with the same warnings and hardening.
find_package(PkgConfig REQUIRED)

add_library(aurabridge_options INTERFACE)
target_include_directories(aurabridge_options INTERFACE ${CMAKE_SOURCE_DIR}/include)
target_compile_definitions(aurabridge_options INTERFACE
  _GNU_SOURCE AURABRIDGE_VERSION="${PROJECT_VERSION}")
target_compile_options(aurabridge_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror -fno-omit-frame-pointer
  $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes -Wmissing-prototypes>
  -fstack-protector-strong -fPIE)
target_link_options(aurabridge_options INTERFACE -pie -Wl,-z,relro,-z,now)
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT AURABRIDGE_SANITIZE)
  target_compile_definitions(aurabridge_options INTERFACE _FORTIFY_SOURCE=2)
endif()
if(AURABRIDGE_SANITIZE)
  target_compile_options(aurabridge_options INTERFACE
    -fsanitize=${AURABRIDGE_SANITIZE} -fno-sanitize-recover=all -g -O1)
  target_link_options(aurabridge_options INTERFACE -fsanitize=${AURABRIDGE_SANITIZE})
endif()
find_package(Threads REQUIRED)
target_link_libraries(aurabridge_options INTERFACE Threads::Threads)

# aurabridge_room(NAME SOURCES a.c … USES room … PACKAGES pkg-config-name …)
# USES and PACKAGES are what the room links to; a package's headers stay private to the room.
function(aurabridge_room name)
  cmake_parse_arguments(ROOM "" "" "SOURCES;USES;PACKAGES" ${ARGN})
  add_library(room_${name} STATIC ${ROOM_SOURCES})
  target_link_libraries(room_${name} PUBLIC aurabridge_options)
  foreach(used IN LISTS ROOM_USES)
    target_link_libraries(room_${name} PUBLIC room_${used})
  endforeach()
  foreach(package IN LISTS ROOM_PACKAGES)
    pkg_check_modules(${package} REQUIRED IMPORTED_TARGET ${package})
    target_link_libraries(room_${name} PRIVATE PkgConfig::${package})
  endforeach()
endfunction()

# aurabridge_unit_test(NAME SOURCES test_x.c … USES room …): a CUnit program, one ctest case.
function(aurabridge_unit_test name)
  cmake_parse_arguments(TEST "" "" "SOURCES;USES;PACKAGES" ${ARGN})
  pkg_check_modules(cunit REQUIRED IMPORTED_TARGET cunit)
  add_executable(test_${name} ${TEST_SOURCES})
  target_link_libraries(test_${name} PRIVATE aurabridge_options PkgConfig::cunit)
  target_include_directories(test_${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests/support)
  foreach(used IN LISTS TEST_USES)
    target_link_libraries(test_${name} PRIVATE room_${used})
  endforeach()
  foreach(package IN LISTS TEST_PACKAGES)
    pkg_check_modules(${package} REQUIRED IMPORTED_TARGET ${package})
    target_link_libraries(test_${name} PRIVATE PkgConfig::${package})
  endforeach()
  add_test(NAME unit_${name} COMMAND test_${name})
  set_tests_properties(unit_${name} PROPERTIES TIMEOUT 600 LABELS unit)
endfunction()
