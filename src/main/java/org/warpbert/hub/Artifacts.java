package org.warpbert.hub;

import eu.maveniverse.maven.mima.context.Context;
import eu.maveniverse.maven.mima.context.ContextOverrides;
import eu.maveniverse.maven.mima.context.Runtimes;
import java.nio.file.Path;
import java.util.stream.Collectors;
import org.eclipse.aether.artifact.Artifact;
import org.eclipse.aether.artifact.DefaultArtifact;
import org.eclipse.aether.repository.RemoteRepository;
import org.eclipse.aether.resolution.ArtifactRequest;
import org.eclipse.aether.resolution.ArtifactResolutionException;
import org.eclipse.aether.transfer.AbstractTransferListener;
import org.eclipse.aether.transfer.TransferEvent;
import org.warpbert.WarpBertException;

/**
 * Fetches an artifact as Maven would: the user's {@code settings.xml}, mirrors, proxies, local repository
 * ({@code -Dmaven.repo.local} too) hold. {@code -Dwarpbert.offline=true} looks in the local repository only.
 */
final class Artifacts {
    private Artifacts() {}

    /** The file of {@code group:artifact:version}, downloaded where the local repository lacks it. */
    static Path resolve(String gav, String name, Progress progress) {
        Artifact artifact;
        try {
            artifact = new DefaultArtifact(gav);
        } catch (IllegalArgumentException e) {
            throw new WarpBertException("'" + gav + "' names no Maven artifact; write group:artifact:version.", e);
        }
        ContextOverrides.Builder overrides = ContextOverrides.create().withUserSettings(true).transferListener(listener(artifact, name, progress));
        if (Boolean.getBoolean("warpbert.offline")) overrides.offline(true);
        try (Context context = Runtimes.INSTANCE.getRuntime().create(overrides.build())) {
            try {
                return context.repositorySystem()
                        .resolveArtifact(context.repositorySystemSession(), new ArtifactRequest(artifact, context.remoteRepositories(), null))
                        .getArtifact().getFile().toPath();
            } catch (ArtifactResolutionException e) {
                throw new WarpBertException(failure(artifact, name, context, e), e);
            }
        }
    }

    private static String failure(Artifact artifact, String name, Context context, ArtifactResolutionException e) {
        boolean offline = context.repositorySystemSession().isOffline();
        String remote = context.remoteRepositories().stream().map(RemoteRepository::getId).collect(Collectors.joining(", "));
        return "Cannot get " + name + ": the Maven artifact " + artifact + " is not in the local repository "
                + context.repositorySystemSession().getLocalRepository().getBasedir()
                + (offline ? ", and Maven is offline. Go online once (warpbert.offline, or <offline> in settings.xml), or copy that artifact there from another machine."
                : ", and could not be had from " + remote + " (" + e.getMessage() + "). Check the network, and mirrors and proxies in Maven's settings.xml.");
    }

    private static AbstractTransferListener listener(Artifact artifact, String name, Progress progress) {
        return new AbstractTransferListener() {
            @Override
            public void transferProgressed(TransferEvent event) {
                String resource = event.getResource().getResourceName();
                if (resource.endsWith("." + artifact.getExtension())) // not its checksum
                    progress.at("Downloading " + name, event.getTransferredBytes(), event.getResource().getContentLength());
            }
        };
    }
}
