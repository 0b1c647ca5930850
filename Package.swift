// swift-tools-version: 6.2
import Foundation
import PackageDescription

/// Every Swift target: Swift 6 language mode (strict concurrency), warnings are errors.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
]

/// Targets that a worker runs per packet: their `@inlinable` bodies are optimised across module borders.
let hot: [SwiftSetting] =
    strict + [
        .enableExperimentalFeature("BuiltinModule"),
        .unsafeFlags(["-cross-module-optimization"], .when(configuration: .release)),
    ]

let package = Package(
    name: "sluice",
    products: [.executable(name: "sluice", targets: ["sluice"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        // Only for `swift package generate-documentation`: no target depends on it.
        .package(url: "https://github.com/swiftlang/swift-docc-plugin", from: "1.5.0"),
    ],
    targets: [
        // C borders: module maps and header shims.
        .systemLibrary(name: "CXDP"),
        .systemLibrary(name: "CLibBPF", pkgConfig: "libbpf", providers: [.apt(["libbpf-dev"])]),
        .systemLibrary(name: "CLibXDP", pkgConfig: "libxdp", providers: [.apt(["libxdp-dev"])]),
        .systemLibrary(name: "CLibCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CLinux"),
        .systemLibrary(name: "CMalloc"),

        // The dataplane, bottom up.
        .target(name: "Packets", swiftSettings: hot),
        .target(
            name: "Platform",
            dependencies: ["CLinux", "Packets", .product(name: "SystemPackage", package: "swift-system")],
            swiftSettings: hot),
        .target(
            name: "Telemetry", dependencies: ["Platform", .product(name: "Logging", package: "swift-log")],
            swiftSettings: hot),
        .target(name: "Cryptography", dependencies: ["CLibCrypto", "CLinux", "Platform"], swiftSettings: hot),
        .target(
            name: "IPsec", dependencies: ["Cryptography", "Packets", "Platform", "Telemetry", "CLinux"],
            swiftSettings: hot),
        .target(
            name: "Policy", dependencies: ["IPsec", "Packets", "Platform", "Telemetry", "CLinux"], swiftSettings: hot),
        .target(
            name: "XDP", dependencies: ["CXDP", "CLibBPF", "CLibXDP", "BPFObjects", "Packets", "Platform"],
            swiftSettings: hot),
        .target(
            name: "Dataplane",
            dependencies: ["XDP", "IPsec", "Policy", "Cryptography", "Telemetry", "Platform", "Packets", "CLinux"],
            swiftSettings: hot),

        // The BPF program, compiled by the build-tool plugin and embedded.
        .target(
            name: "BPFObjects", path: "bpf", exclude: ["steering.bpf.c", "steering.h", "embed.sh"],
            swiftSettings: strict, plugins: [.plugin(name: "CompileBPF")]),
        .plugin(name: "CompileBPF", capability: .buildTool(), path: "Sources/CompileBPF"),

        // A dataplane in memory, with a kernel that is played, for tests and benchmarks; nothing that runs a gateway uses it.
        .target(
            name: "InMemory", dependencies: ["Dataplane", "Policy", "XDP", "Telemetry", "Packets"], swiftSettings: hot),
        .target(
            name: "Benchmarks",
            dependencies: [
                "InMemory", "Gateway", "Dataplane", "IKEv2", "IKEv2Messages", "Policy", "IPsec", "XDP", "Cryptography",
                "Telemetry", "Platform", "Packets", "CLinux", .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: hot),

        // The control side.
        .target(
            name: "Netlink",
            dependencies: ["CLinux", "Packets", "Platform"],
            swiftSettings: strict),
        .target(name: "IKEv2Messages", dependencies: ["Packets"], swiftSettings: strict),
        .target(
            name: "IKEv2", dependencies: ["IKEv2Messages", "Cryptography", "IPsec", "Platform", "Packets"],
            exclude: ["Session/ChildStates.md"], swiftSettings: strict),
        .target(
            name: "Configuration", dependencies: ["IKEv2", "Policy", "IPsec", "Cryptography", "Platform", "Packets"],
            swiftSettings: strict),
        .target(
            name: "ControlPlane",
            dependencies: [
                "IKEv2", "IKEv2Messages", "Configuration", "Cryptography", "IPsec", "Packets", "Platform", "Telemetry",
                "CMalloc", "CLibBPF",
                .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict),
        .target(
            name: "Gateway",
            dependencies: [
                "Dataplane", "ControlPlane", "IKEv2", "IKEv2Messages", "Configuration", "Netlink", "Policy", "IPsec",
                "XDP", "Cryptography", "Packets", "Platform", "Telemetry", "CLinux",
                .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            swiftSettings: strict),
        .executableTarget(
            name: "sluice",
            dependencies: [
                "Gateway", "Benchmarks", "Configuration", "ControlPlane", "IKEv2", "Dataplane", "Cryptography", "XDP",
                "Packets", "Platform", "Telemetry",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict),

        // Tests mirror the modules; Scenarios joins whole gateways in memory; Interop uses namespaces and foreign peers.
        .systemLibrary(name: "CTestLinux", path: "Tests/CTestLinux"),
        .target(
            name: "TestSupport",
            dependencies: [
                "CTestLinux", "CLibBPF", "Packets", "Cryptography", "IPsec", "Policy", "XDP", "Dataplane", "InMemory",
                "Telemetry",
            ],
            path: "Tests/Support", exclude: ["CAllocationCounter"], swiftSettings: strict),
        .target(name: "CAllocationCounter", path: "Tests/Support/CAllocationCounter"),
        .testTarget(name: "PlatformTests", dependencies: ["Platform", "Packets"], swiftSettings: strict),
        .testTarget(name: "PacketsTests", dependencies: ["Packets"], swiftSettings: strict),
        .testTarget(
            name: "TelemetryTests", dependencies: ["Telemetry", .product(name: "Logging", package: "swift-log")],
            swiftSettings: strict),
        .testTarget(
            name: "CryptographyTests", dependencies: ["Cryptography", "CLibCrypto", "CAllocationCounter"],
            exclude: ["differential.py", "ike_differential.py"], swiftSettings: strict),
        .testTarget(
            name: "IPsecTests", dependencies: ["IPsec", "Cryptography", "Packets", "Telemetry"], swiftSettings: strict),
        .testTarget(
            name: "PolicyTests", dependencies: ["Policy", "IPsec", "Cryptography", "Packets", "Telemetry"],
            swiftSettings: strict),
        .testTarget(
            name: "XDPTests", dependencies: ["XDP", "InMemory", "Packets", "CLibBPF", "CTestLinux", "TestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "DataplaneTests",
            dependencies: [
                "Dataplane", "InMemory", "XDP", "IPsec", "Policy", "Packets", "Telemetry", "Cryptography",
                "TestSupport",
            ], swiftSettings: strict),
        .testTarget(name: "NetlinkTests", dependencies: ["Netlink", "Packets", "CLinux"], swiftSettings: strict),
        .testTarget(name: "IKEv2MessagesTests", dependencies: ["IKEv2Messages", "Packets"], swiftSettings: strict),
        .testTarget(
            name: "ConfigurationTests",
            dependencies: ["Configuration", "IKEv2", "Policy", "IPsec", "Cryptography", "Packets"],
            exclude: ["Guides"], swiftSettings: strict),
        .testTarget(
            name: "IKEv2Tests",
            dependencies: [
                "IKEv2", "IKEv2Messages", "ControlPlane", "Cryptography", "IPsec", "Packets",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "ControlPlaneTests",
            dependencies: [
                "ControlPlane", "IKEv2", "IKEv2Messages", "Configuration", "Cryptography", "IPsec", "Packets",
                "Platform",
                .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "GatewayTests",
            dependencies: [
                "Gateway", "ControlPlane", "IKEv2", "Configuration", "Cryptography", "Dataplane", "IPsec", "Netlink",
                "Packets", "Policy", "Telemetry", "XDP", "TestSupport",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "Scenarios",
            dependencies: [
                "Gateway", "IKEv2", "Dataplane", "InMemory", "XDP", "IPsec", "Policy", "Packets", "Telemetry",
                "Cryptography", "TestSupport", "CAllocationCounter", .product(name: "Logging", package: "swift-log"),
            ], path: "Tests/Scenarios", swiftSettings: strict),
        .testTarget(
            name: "Interop", dependencies: ["TestSupport", "Packets", "XDP"], path: "Tests/Interop", exclude: ["Peers"],
            swiftSettings: strict),
    ]
)

// Fuzzing (Tests/Fuzz/run.sh): the package is then one executable for each file of Tests/Fuzz/Targets, and what
// those files import. Nothing else is built.
if Context.environment["SLUICE_FUZZ"] != nil {
    package.targets = fuzzTargets(Context.packageDirectory + "/Tests/Fuzz/Targets", of: package.targets)
    package.products = []
}

func fuzzTargets(_ directory: String, of all: [Target]) -> [Target] {
    let names = Set(all.map(\.name))
    let files = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
    var needed = Set<String>()
    let executables = files.sorted().map { file -> Target in
        let text = (try? String(contentsOfFile: directory + "/" + file, encoding: .utf8)) ?? ""
        let imports = text.split(separator: "\n").filter { $0.hasPrefix("import ") }.map { String($0.dropFirst(7)) }
        let modules = imports.filter(names.contains)
        needed.formUnion(modules)
        return .executableTarget(
            name: "Fuzz" + file.dropLast(6), dependencies: ["FuzzSupport"] + modules.map { .byName(name: $0) },
            path: "Tests/Fuzz/Targets", exclude: files.filter { $0 != file }, swiftSettings: strict)
    }
    var pending = Array(needed)
    while let name = pending.popLast() {
        for case .byNameItem(let dependency, _) in all.first(where: { $0.name == name })?.dependencies ?? []
        where needed.insert(dependency).inserted {
            pending.append(dependency)
        }
    }
    // A build-tool plugin has no dependencies to follow and costs nothing unless it is used.
    let modules = all.filter { needed.contains($0.name) || $0.type == .plugin }
    let support: [Target] = [
        .systemLibrary(name: "CLibFuzzer", path: "Tests/Fuzz/CLibFuzzer"),
        .target(name: "FuzzSupport", dependencies: ["CLibFuzzer"], path: "Tests/Fuzz/Support", swiftSettings: strict),
    ]
    return modules + support + executables
}
