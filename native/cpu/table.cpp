// The table of one instruction set.
#include "ops.h"

namespace warpbert::WB_ISA {

#define WB_HOST(name) host::name,
#define WB_OP(name) WB_ISA::name,
const wb_ops table = {WB_ABI, "cpu", host::last_error, WB_HOST_FUNCTIONS(WB_HOST) WB_OP_FUNCTIONS(WB_OP)};

}  // namespace warpbert::WB_ISA
