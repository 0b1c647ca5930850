import Testing
import XDP

@testable import Gateway

@Suite struct PortPlanTests {
    private static func interfaces(_ queues: [String: Int]) -> [String: PortPlan.Interface] {
        let names = queues.keys.sorted()
        return Dictionary(
            uniqueKeysWithValues: names.enumerated().map { number, name in
                (name, PortPlan.Interface(name: name, index: UInt32(number) + 1, queueCount: queues[name] ?? 1))
            })
    }

    private static func options(_ change: (inout GatewayOptions) -> Void = { _ in }) -> GatewayOptions {
        var options = GatewayOptions(xfrmBatch: "f", lan: ["lan0"], wan: ["wan0"])
        change(&options)
        return options
    }

    private static func plan(
        _ queues: [String: Int] = ["lan0": 1, "wan0": 1], cores: [Int] = [0, 1, 2, 3],
        _ change: (inout GatewayOptions) -> Void = { _ in }
    ) throws -> PortPlan {
        try PortPlan(options(change), interfaces: interfaces(queues), allowedCores: cores)
    }

    @Test func oneWorkerForOneQueue() throws {
        let plan = try Self.plan()
        #expect(plan.ports.map(\.interface.name) == ["lan0", "wan0"])
        #expect(plan.ports.map(\.roles) == [.lan, .wan])
        #expect(plan.cores == [0])
        // Two queues with a full fill and a full transmit ring each.
        #expect(plan.framesPerWorker == 2 * 2 * 1024 + PortPlan.spareFrames)
        #expect(plan.frames == plan.framesPerWorker + PortPlan.hostFrames)
    }

    @Test func asManyWorkersAsEveryPortHasQueues() throws {
        #expect(try Self.plan(["lan0": 4, "wan0": 2]).cores == [0, 1])
        #expect(try Self.plan(["lan0": 8, "wan0": 8]).cores == [0, 1, 2, 3])
        #expect(try Self.plan(["lan0": 8, "wan0": 8], cores: [5, 7]).cores == [5, 7])
        #expect(try Self.plan(["lan0": 8, "wan0": 8]) { $0.cores = [3, 1] }.cores == [3, 1])
        #expect(try Self.plan(["lan0": 8, "wan0": 8]) { $0.workers = 1 }.cores == [0])
    }

    @Test func everyQueueHasAWorkerAndEveryWorkerAQueue() throws {
        let plan = try Self.plan(["lan0": 5, "wan0": 3])
        #expect(plan.workers == 3)
        for port in plan.ports {
            let owners = (0..<port.interface.queueCount).map(plan.worker)
            #expect(Set(owners) == [0, 1, 2])
        }
        // Worker 0 has queues 0 and 3 of the LAN port, and queue 0 of the WAN port.
        #expect(plan.framesPerWorker == 3 * 2 * 1024 + PortPlan.spareFrames)
    }

    @Test func oneInterfaceMayBeBoth() throws {
        let plan = try Self.plan(["lan0": 1]) { $0.wan = ["lan0"] }
        #expect(plan.ports.map(\.roles) == [[.lan, .wan]])
    }

    static let impossible: [(String, [String: Int], @Sendable (inout GatewayOptions) -> Void)] = [
        ("ethtool -L wan0 combined 2", ["lan0": 2, "wan0": 1], { $0.workers = 2 }),
        ("ip link", ["lan0": 1], { _ in }),
        ("choose from 0,1,2,3", ["lan0": 1, "wan0": 1], { $0.cores = [9] }),
        ("--workers 4", ["lan0": 8, "wan0": 8], { $0.workers = 6 }),
        ("give at least", ["lan0": 1, "wan0": 1], { $0.frames = 300 }),
    ]

    @Test(arguments: impossible.indices) func namesTheRemedy(_ index: Int) {
        let (remedy, queues, change) = Self.impossible[index]
        let error = #expect(throws: GatewayError.self) { try Self.plan(queues, change) }
        #expect(error?.kind == .environment)
        #expect(error?.description.contains(remedy) == true, "\(error?.description ?? "")")
    }

    /// The program would run on the parts, and no socket of the whole would get its packets.
    @Test(arguments: ["bonding", "bridge", "team"])
    func compositeInterfacesAreRefused(driver: String) throws {
        var interfaces = Self.interfaces(["lan0": 1, "wan0": 1])
        interfaces["wan0"]?.driver = driver
        let error = #expect(throws: GatewayError.self) {
            try PortPlan(Self.options(), interfaces: interfaces, allowedCores: [0])
        }
        #expect(error?.kind == .environment)
        #expect(error?.description.contains("wan0 is made of other interfaces") == true)
    }

    @Test func givenFramesAreShared() throws {
        let plan = try Self.plan(["lan0": 2, "wan0": 2]) { $0.frames = 4096 }
        #expect(plan.framesPerWorker == (4096 - PortPlan.hostFrames) / 2)
        #expect(plan.frames <= 4096)
    }
}
