{
  description = "Profile everything of Capsule";
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";
  outputs = { nixpkgs, ... }: {
    packages = nixpkgs.lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] (system: {
      default = import ./default.nix {
        pkgs = import nixpkgs {
          inherit system;
          config.allowUnfreePredicate =
            package:
            builtins.elem (package.pname or (builtins.parseDrvName package.name).name) [
              "cuda-merged"
              "cuda_cccl"
              "cuda_compat"
              "cuda_cudart"
              "cuda_cuobjdump"
              "cuda_cupti"
              "cuda_cuxxfilt"
              "cuda_gdb"
              "cuda_nvcc"
              "cuda_nvdisasm"
              "cuda_nvml_dev"
              "cuda_nvprune"
              "cuda_nvrtc"
              "cuda_nvtx"
              "cuda_profiler_api"
              "cuda_sanitizer_api"
              "cudnn"
              "libcublas"
              "libcufft"
              "libcurand"
              "libcusolver"
              "libcusparse"
              "libnpp"
              "libnvjitlink"
              "nvidia-persistenced"
              "nvidia-settings"
              "nvidia-x11"
            ];
        };
      };
    });
  };
}
