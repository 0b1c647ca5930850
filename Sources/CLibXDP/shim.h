#pragma once
#include <xdp/xsk.h>
#include <linux/if_xdp.h>
