# Language level, warnings and sanitizers for our own targets: linked PRIVATE, never exported.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)

add_library(drover_options INTERFACE)
target_compile_options(drover_options INTERFACE -Wall -Wextra -Wshadow -Wconversion -Wnon-virtual-dtor
  # Designated initializers name what matters and leave the rest to the defaults.
  -Wno-missing-field-initializers)
if(DROVER_WERROR)
  target_compile_options(drover_options INTERFACE -Werror)
endif()
if(DROVER_SANITIZE)
  target_compile_options(drover_options INTERFACE -fsanitize=${DROVER_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(drover_options INTERFACE -fsanitize=${DROVER_SANITIZE})
  if(DROVER_SANITIZE MATCHES thread)
    # Asio's fences trigger -Wtsan in g++ 12; they are a warning about TSan, not about the code.
    target_compile_options(drover_options INTERFACE -Wno-error=tsan)
  endif()
endif()

find_program(DROVER_CCACHE ccache)
if(DROVER_CCACHE)
  # Without these words ccache would not keep what is compiled with a precompiled header.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${DROVER_CCACHE})
endif()
find_program(DROVER_MOLD mold)
if(DROVER_MOLD)
  target_link_options(drover_options INTERFACE -fuse-ld=mold)
endif()
