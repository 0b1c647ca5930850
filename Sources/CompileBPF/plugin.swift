import PackagePlugin

/// Compiles `bpf/steering.bpf.c` with the toolchain's clang and embeds the object as a Swift string.
@main
struct CompileBPF: BuildToolPlugin {
    func createBuildCommands(context: PluginContext, target: any Target) async throws -> [Command] {
        let directory = target.directoryURL
        let source = directory.appending(path: "steering.bpf.c")
        let script = directory.appending(path: "embed.sh")
        let work = context.pluginWorkDirectoryURL
        let output = work.appending(path: "SteeringObject.swift")
        let clang = try context.tool(named: "clang").url
        let objcopy = try context.tool(named: "llvm-objcopy").url
        // The object itself is no output: SwiftPM would bundle it as a resource, and that links Foundation.
        return [
            .buildCommand(
                displayName: "Compiling the BPF steering program",
                executable: script,
                arguments: [clang.path, objcopy.path, source.path, work.path, output.path],
                inputFiles: [script, source, directory.appending(path: "steering.h")],
                outputFiles: [output])
        ]
    }
}
