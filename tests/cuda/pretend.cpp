// Lets a torch that was built without CUDA trace fake CUDA tensors forward and backward, as one built with CUDA does on
// a machine without a GPU. Loaded before torch; nothing here computes. See steps.py.
#include <ATen/DeviceAccelerator.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

namespace at {

constexpr auto kind = c10::DeviceType::CUDA;

struct Guard final : c10::impl::NoOpDeviceGuardImpl<kind> {
  c10::Device getDevice() const override { return {kind, 0}; }
  c10::Device exchangeDevice(c10::Device) const override { return {kind, 0}; }
  c10::Stream getStream(c10::Device) const noexcept override { return c10::Stream(c10::Stream::DEFAULT, {kind, 0}); }
  c10::Stream exchangeStream(c10::Stream stream) const noexcept override { return stream; }
};
C10_REGISTER_GUARD_IMPL(CUDA, Guard)

struct CUDAHooks : CUDAHooksInterface {
  explicit CUDAHooks(CUDAHooksArgs) {}
  void init() const override {}
  bool hasCUDA() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
};
REGISTER_CUDA_HOOKS(CUDAHooks)

namespace accelerator {
std::optional<c10::DeviceType> getAccelerator(bool) { return kind; }  // autograd asks for the streams of this one
}  // namespace accelerator

}  // namespace at
