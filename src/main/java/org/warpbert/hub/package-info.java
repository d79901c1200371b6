/** Models and data by name, fetched with the Maven resolver under the user's own settings, and kept in a cache. */
package org.warpbert.hub;
