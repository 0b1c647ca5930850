// The figures of the C library's allocator, which Swift's Glibc module leaves out.
#pragma once

#include <malloc.h>
