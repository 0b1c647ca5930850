import Testing
import XDP

@Suite struct XDPErrorTests {
    static let all: [XDPError] = [
        .invalidArgument(what: "a ring size of 3", remedy: "use a power of two"),
        .memoryUnavailable(bytes: 1 << 30, errno: 12),
        .hugePagesUnavailable(bytes: 1 << 22, errno: 12),
        .missingCapability("CAP_NET_RAW", place: "open a socket", errno: 1),
        .lockedMemoryLimit(place: "register frames", errno: 105), .noSuchInterface("eth7"), .interfaceDown("eth7"),
        .tooFewQueues(interface: "eth7", asked: 4, available: 2), .queueBusy(interface: "eth7", queue: 1),
        .mtuTooLarge(interface: "eth7", mtu: 9000, errno: 34),
        .mtuTooLargeForFrames(interface: "eth7", mtu: 2000, limit: 1774),
        .nativeUnsupported(interface: "eth7", errno: 95), .zeroCopyUnsupported(interface: "eth7", queue: 0, errno: 95),
        .unsupportedKernel(feature: "AF_XDP", errno: 97), .programRejected(errno: 22, log: "R1 invalid mem access"),
        .foreignProgram(interface: "eth7", id: 12, name: "xdp_dispatcher"), .alreadyRunning(interface: "eth7", id: 13),
        .mapUpdate(map: "sluice_local", errno: 7), .systemCall(place: "read the state of eth7", errno: 5),
    ]

    /// One line that says what happened, where, the errno, and what to do.
    @Test(arguments: all)
    func saysWhatWhereAndTheRemedy(error: XDPError) {
        #expect(!error.cause.isEmpty && !error.remedy.isEmpty)
        #expect(error.description == "\(error.cause); \(error.remedy)")
        #expect(!error.description.contains("\n"))
        let words = "\(error)"
        if case .noSuchInterface = error { #expect(words.contains("eth7")) }
        if error.errno != 0, error.cause.contains("errno") { #expect(words.contains("(errno \(error.errno))")) }
    }

    @Test func examples() {
        #expect(
            XDPError.hugePagesUnavailable(bytes: 1 << 22, errno: 12).description
                == "no 4 MiB of huge pages: Cannot allocate memory (errno 12); reserve 2 pages in /proc/sys/vm/nr_hugepages, or use --huge-pages auto"
        )
        #expect(
            XDPError.foreignProgram(interface: "eth7", id: 12, name: "xdp_dispatcher").description
                == "interface eth7 already has the XDP program \"xdp_dispatcher\" (id 12), which isn't ours; remove it with: ip link set eth7 xdp off, or use --force"
        )
        #expect(
            XDPError.tooFewQueues(interface: "eth7", asked: 4, available: 2).description
                == "4 queues asked for, interface eth7 has 2; use fewer workers, or add queues with: ethtool -L eth7 combined 4"
        )
    }
}
