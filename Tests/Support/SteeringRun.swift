import CLibBPF
public import XDP

extension SteeringProgram {
    /// Runs the program in the kernel on this frame (at least 14 bytes); returns what it returned: 1 is XDP_DROP,
    /// 2 XDP_PASS, 4 XDP_REDIRECT.
    public func run(on frame: [UInt8]) throws -> UInt32 {
        var options = bpf_test_run_opts()
        options.sz = MemoryLayout<bpf_test_run_opts>.size
        options.repeat = 1
        return try frame.withUnsafeBytes { bytes in
            options.data_in = bytes.baseAddress
            options.data_size_in = UInt32(bytes.count)
            let result = bpf_prog_test_run_opts(fileDescriptor, &options)
            guard result == 0 else { throw TestRunFailure(errno: -result) }
            return options.retval
        }
    }
}

/// The kernel has not run the program.
public struct TestRunFailure: Error {
    public let errno: Int32
}
