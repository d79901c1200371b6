/**
 * Models and data by name, fetched with the Maven resolver under the user's own settings, and kept in a cache. An application that
 * only opens folders, or names that are in the cache, may leave the resolver out (exclude {@code eu.maveniverse.maven.mima*} of this
 * library's dependencies); what would have to be fetched is then an error.
 */
package org.warpbert.hub;
