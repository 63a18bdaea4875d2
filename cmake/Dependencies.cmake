# Third-party libraries, all from the distribution; scripts/lib/packages.sh installs them.
find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS json url)
find_package(yaml-cpp REQUIRED)
find_package(spdlog REQUIRED)
find_package(CLI11 REQUIRED)
find_package(CURL REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(OpenSSL REQUIRED)
if(DROVER_TESTS)
  find_package(GTest REQUIRED)
  include(GoogleTest)
endif()

# What every user of Asio gets: header-only, with narrow includes, and no deprecated interfaces.
add_library(drover_asio INTERFACE)
target_link_libraries(drover_asio INTERFACE Boost::headers Threads::Threads)
target_compile_definitions(drover_asio INTERFACE BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_DISABLE_BOOST_ARRAY)
add_library(drover::asio ALIAS drover_asio)

# yaml-cpp 0.7 exports a plain name, 0.8 a namespaced one.
if(NOT TARGET yaml-cpp::yaml-cpp)
  add_library(yaml-cpp::yaml-cpp ALIAS yaml-cpp)
endif()

# libedit has no CMake package.
find_library(DROVER_EDIT_LIBRARY edit REQUIRED)
add_library(drover_edit INTERFACE)
target_link_libraries(drover_edit INTERFACE ${DROVER_EDIT_LIBRARY})
add_library(drover::edit ALIAS drover_edit)

# Debian's RE2 has no CMake package before version 2023.
find_library(DROVER_RE2_LIBRARY re2 REQUIRED)
add_library(drover_re2 INTERFACE)
target_link_libraries(drover_re2 INTERFACE ${DROVER_RE2_LIBRARY})
add_library(drover::re2 ALIAS drover_re2)
