import Dispatch
import NIOPosix

extension MultiThreadedEventLoopGroup {
    /// Ends the loops and waits until their threads have ended.
    ///
    /// NIO's own blocking call reports through a global dispatch queue, whose threads are also those of Swift's tasks: where
    /// all of them wait, it waits for ever. A queue of our own always gets a thread.
    package func stop() {
        let stopped = DispatchSemaphore(value: 0)
        shutdownGracefully(queue: DispatchQueue(label: "event-loops.stop")) { _ in stopped.signal() }
        stopped.wait()
    }
}
